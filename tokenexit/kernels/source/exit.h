// Exits: what the words that arrive look like to a head, and what the head says of them.
#pragma once
#include "dense.h"
#include "encoder_layer.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

// The mean over all rows of each word, [W, H].
inline void mean_states(const Live &live, float *out) {
  const size_t width = live.width;
  Scratch scratch;
  int32_t *count = scratch.take<int32_t>(live.words);
  std::memset(out, 0, sizeof(float) * live.words * width);
  std::memset(count, 0, sizeof(int32_t) * live.words);
  for (int t = 0; t < live.rows; ++t) {
    const int w = live.row_word[t];
    if (w < 0) continue;
    ++count[w];
    for (size_t k = 0; k < width; ++k) out[w * width + k] += live.hidden[t * width + k];
  }
  for (int w = 0; w < live.words; ++w)
    for (size_t k = 0; k < width; ++k) out[w * width + k] /= static_cast<float>(count[w]);
}

// States of some words (numbers as of now; all when null) as a head sees them, [n, H].
inline void seen(const Encoder &encoder, const Live &live, const int32_t *words, int n, bool mean, float *out) {
  const size_t width = live.width;
  Scratch scratch;
  const float *means = nullptr;
  if (mean) {
    float *all = words ? scratch.floats(live.words * width) : out;
    mean_states(live, all);
    means = all;
  }
  for (int i = 0; i < n; ++i) {
    const int w = words ? words[i] : i;
    const float *x = means ? means + w * width : live.hidden + live.first[w] * width;
    if (out + i * width != x) std::memcpy(out + i * width, x, sizeof(float) * width);
  }
  if (!encoder.final_norm.weight) return;
  for (int i = 0; i < n; ++i) norm_row(encoder.final_norm, out + i * width, live.width, out + i * width);
}

// Scores of n rows, x [n, H] -> y [n, C].
inline void score_rows(const EncoderHead &head, const float *x, int n, float *y) {
  if (!head.dense.weight) return dense_rows(head.project, x, n, y);
  Scratch scratch;
  const size_t size = static_cast<size_t>(n) * static_cast<size_t>(head.dense.out);
  float *inner = scratch.floats(size);
  dense_rows(head.dense, x, n, inner);
  activate_all(inner, static_cast<int64_t>(size), head.activation);
  dense_rows(head.project, inner, n, y);
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
