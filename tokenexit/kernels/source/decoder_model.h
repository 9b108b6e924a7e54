// A decoder as the kernels read it, and what a batch of texts keeps between its steps. Python fills
// these structures (decoding/compiled_model.py, compiled_cache.py mirror them field by field); the
// kernels own nothing.
#pragma once
#include <cstdint>

#include "api.h"

namespace tokenexit {

constexpr int BLOCK = 16; // places that lie together in a cache

struct DecoderNorm {
  int32_t kind; // 0 none, 1 layer norm, 2 root mean square
  float epsilon;
  const float *weight; // [H]
  const float *bias;    // [H] or null
};

struct DecoderLayer {
  DecoderNorm self_norm, cross_norm, feed_norm;
  const Matrix *query_key_value; // [3I, H]
  const Matrix *key_value;        // [2I, H], the lower part of it
  const Matrix *out;
  const Matrix *cross_query;
  const Matrix *cross_key_value; // [2I, H]
  const Matrix *cross_out;
  const Matrix *inner;
  const Matrix *gate; // or null
  const Matrix *outer;
};

struct DecoderModel {
  int32_t layers, hidden, heads, head_size, vocabulary; // L, H, h, d, V; I = h * d
  int32_t num_words;                                    // embedded; may be more than V
  int32_t pre_norm, activation, narrow; // narrow: caches hold bfloat16, not floats
  float scaling, word_scale, final_scale;
  const float *words;   // [V, H]
  const float *places; // [P, H] or null
  DecoderNorm embed_norm, final_norm;
  const Matrix *head; // [V, H]
  const DecoderLayer *layer;
};

// Keys and values by sequence and place, in blocks of 16 places. A block belongs to all layers and
// may be shared by several sequences as long as nobody writes new tokens to it.
struct DecoderCache {
  int32_t rows;    // sequences, R
  int32_t length; // places in use
  int32_t blocks; // there are
  int32_t reach;   // most blocks of a sequence
  int32_t unused; // blocks on the stack below
  int32_t bias_width;
  void *keys;         // [L, blocks, h, W, 16], W: d rounded up to 16
  void *values;       // [L, blocks, h, 16, W]
  float *states;      // [blocks, 16, H]: of tokens, as they left
  int32_t *table;     // [R, reach]: blocks of each sequence
  int32_t *filled;    // [R, L]: places filled in each layer
  int32_t *users;     // [blocks]: sequences that have a block
  int32_t *stack;     // [blocks]: unused blocks
  const float *bias; // [h, bias_width]: for keys that end at the query; or null
};

// Encoder states without padding, and what the decoder's layers read of them.
struct DecoderSource {
  int32_t count, tokens, blocks, longest;
  const float *memory;    // [tokens, H]
  const int32_t *start;   // [count + 1]: first token of each source
  const int32_t *first;   // [count + 1]: first block of each
  const int32_t *number; // [blocks]: 0, 1, 2, ...
  void *keys;         // [L, blocks, h, W, 16], W: d rounded up to 16
  void *values;       // [L, blocks, h, 16, W]
  uint8_t *made;          // [L, count]
};

// One batch of texts.
struct DecodeBatch {
  const DecoderModel *model;
  DecoderCache *cache;
  DecoderSource *source;
  const int32_t *origin; // [R]: source of each sequence
};

} // namespace tokenexit
