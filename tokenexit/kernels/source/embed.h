// Tokens to the states that enter the first layer.
#pragma once
#include "encoder_layer.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

// The sum of a token's rows in the tables, [E].
inline void add_tables(const EncoderEmbedding &embedding, int32_t id, int32_t segment, int32_t place, float *out) {
  const int E = embedding.width;
  const size_t width = static_cast<size_t>(E);
  const float *token = embedding.tokens + at(id, width);
  const float *kind = embedding.segments ? embedding.segments + at(segment, width) : nullptr;
  const float *where = embedding.places ? embedding.places + at(place, width) : nullptr;
  const F scale = splat(embedding.scale);
  for (int k = 0; k < E; k += LANES) {
    F sum = mul(load_to(token + k, E - k), scale);
    if (kind) sum = add(sum, load_to(kind + k, E - k));
    if (where) sum = add(sum, load_to(where + k, E - k));
    store_to(out + k, sum, E - k);
  }
}

// States of the batch's rows, those of sequences without a word left out, into live.hidden.
inline void embed(const EncoderEmbedding &embedding, const Texts &texts, Live &live) {
  const int E = embedding.width;
  const size_t width = static_cast<size_t>(E);
  Scratch scratch;
  const Matrix *project = embedding.project;
  float *rows = project ? scratch.floats(static_cast<size_t>(live.rows) * width) : live.hidden;
  float *row = rows;
  for (int s = 0; s < texts.size; ++s) {
    if (texts.word_start[s] == texts.word_start[s + 1]) continue;
    int place = embedding.first_place;
    for (int t = texts.row_start[s]; t < texts.row_start[s + 1]; ++t, row += E) {
      const int32_t id = texts.ids[t], segment = texts.segments ? texts.segments[t] : 0;
      const bool held = id != embedding.padding;
      add_tables(embedding, id, segment, held ? place : embedding.first_place - 1, row);
      place += held;
      if (embedding.norm.weight) norm_row(embedding.norm, row, E, row);
    }
  }
  if (project)
    product(*project, input_of(scratch, project->kind, rows, width, live.rows, E), live.hidden,
            static_cast<size_t>(live.width));
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
