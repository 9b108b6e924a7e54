// What an encoder is made of, and the texts it reads, as Python lays them out; the classes of
// halting/compiled/structs.py have the same fields in the same order.
// H: width, I: of all attention heads, F: inner, E: of embeddings; L layers, C classes; S sequences,
// T rows, A active rows, W words.
#pragma once
#include "api.h"

namespace tokenexit {

struct EncoderNorm {
  const float *weight, *bias; // [H]; weight null: no norm; bias null: none
  float epsilon;
  int32_t rms; // whether the mean stays in
};

// A small product in float32, with weights where the network has them: w [out, in].
struct EncoderDense {
  const float *weight, *bias; // weight null: none; bias null: none
  int32_t in, out;
};

struct EncoderLayer {
  const Matrix *query;     // [H] -> [I]
  const Matrix *key_value; // [H] -> [2 I], keys first
  const Matrix *output;    // [I] -> [H]
  const Matrix *ff_in;     // [H] -> [F], and what follows it
  const Matrix *gate;      // [H] -> [F], multiplied with that; or null
  const Matrix *ff_out;    // [F] -> [H]
  EncoderNorm attention_norm, ff_norm;
  const float *bias; // [heads, 2 span - 1], by key minus query from 1 - span on; or null
  int32_t span, pre_norm, activation, heads;
  float scale;
};

struct EncoderEmbedding {
  const float *tokens, *places, *segments; // [V, E]; [P, E] or null; [2, E] or null
  const Matrix *project;                   // [E] -> [H] or null
  EncoderNorm norm;
  float scale; // on tokens
  int32_t width, first_place;
  int32_t padding; // the token that holds no place, and gets the row before the first; -1: none
};

struct EncoderHead {
  EncoderDense dense;   // [H] -> [D] or none, and what follows it
  EncoderDense project; // [D] -> [C]; none: no exit here
  int32_t activation;
};

struct Encoder {
  int32_t num_layers, width, classes;
  int32_t mean; // whether heads below the top read the mean of a word's rows, and not the first
  EncoderEmbedding embedding;
  EncoderNorm final_norm;     // of rows that a head reads
  const EncoderLayer *layers; // [L]
  const EncoderHead *heads;   // [L]
};

// Sequence s lies at rows row_start[s] .. row_start[s + 1] and words word_start[s] .. of long arrays;
// what is said of a row or a word there is relative to its sequence.
struct Texts {
  int32_t size, unused;
  const int32_t *row_start, *word_start; // [S + 1]
  const int32_t *ids, *segments;         // by row; segments may be null
  const int32_t *row_word;               // by row: its word, -1 for none
  const int32_t *first;                  // by word: the row that decides for it
};

// The rows of a batch that are still in the network; see live.h.
struct Live {
  int32_t size, rows, active, words, width; // S, T, A, W as of now; H
  int32_t drop;                             // whether rows that halt leave the attention
  int32_t *row_start, *active_start, *word_start; // [S + 1]
  int32_t *row_word, *place;                      // [T]: its word or -1, its place in the text
  int32_t *asking;                                // [A]: the active rows
  uint8_t *on;                                    // [T]: whether a row is active
  int32_t *word, *first, *spot;                   // [W]: number in the batch, row that decides, place
  float *hidden;                                  // [T, H]
};

constexpr int WORK = 6; // numbers of a layer's work

// What comes of a batch.
struct Outcome {
  float *logits;       // [W, C], each word's at its exit
  int32_t *exit_layer; // [W], from 1
  int64_t *work;       // [L, 6], added to: active rows, rows read, pairs, rows that a head scored, calls,
                       // rows that a context gate judged
  float *exits;        // [number of exits, W, C] of all words at all exits, if nobody leaves; or null
};

} // namespace tokenexit
