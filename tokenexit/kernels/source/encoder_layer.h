// One layer of an encoder: active rows ask, all rows are read. Three steps, each split between
// threads wherever the work falls: keys, values and queries by rows, attention by heads of
// sequences, and the rest by active rows, whose wide states never leave the cache.
#pragma once
#include "attention.h"
#include "live.h"
#include "norm.h"
#include "product.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

constexpr int BLOCK_ROWS = 96; // a multiple of every tile's rows

inline void norm_row(const EncoderNorm &norm, const float *x, int width, float *y) {
  if (norm.rms) rms_norm(x, norm.weight, width, norm.epsilon, y);
  else layer_norm(x, norm.weight, norm.bias, width, norm.epsilon, y);
}

// body(from, to) for blocks of n rows, as many at least as there are threads worth their while.
template <class Body> static void for_blocks(int n, double work_of_row, const Body &body) {
  const int pieces = smaller(threads(), 1 + static_cast<int>(n * work_of_row / WORTH_A_THREAD));
  const int size = smaller(BLOCK_ROWS, round_up((n + pieces - 1) / larger(pieces, 1), TILE_ROWS));
  if (n <= 0) return;
  const auto block = [&](int i) { body(i * size, smaller(n, (i + 1) * size)); };
  const int blocks = (n + size - 1) / size;
  if (pieces > 1) return parallel_for(blocks, block);
  for (int i = 0; i < blocks; ++i) block(i);
}

// Rows x [n, H] as a block needs them: normed first where the norm comes first.
inline Input block_input(Scratch &scratch, int32_t kind, const EncoderNorm *norm, const float *x, int n, int width) {
  if (!norm) return input_of(scratch, kind, x, static_cast<size_t>(width), n, width);
  const Input in = make_input(scratch, kind, n, width);
  float *row = scratch.floats(static_cast<size_t>(width));
  for (int i = 0; i < n; ++i) {
    norm_row(*norm, x + at(i, static_cast<size_t>(width)), width, row);
    set_row(in, i, row);
  }
  return in;
}

// The first active row, by its number among them, at or behind a row.
inline int first_asking(const Live &live, int row) {
  int low = 0, high = live.active;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (live.asking[middle] < row) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Keys and values of all rows, kv [T, 2 I]; queries of the active ones, q [A, I].
inline void project(const EncoderLayer &layer, const Live &live, float *kv, float *q) {
  const int H = live.width, I = layer.query->N;
  const size_t width = static_cast<size_t>(H), inner = static_cast<size_t>(I);
  for_blocks(live.rows, 3.0 * H * I, [&](int from, int to) {
    Scratch scratch;
    const EncoderNorm *norm = layer.pre_norm ? &layer.attention_norm : nullptr;
    const Input in = block_input(scratch, layer.query->kind, norm, live.hidden + at(from, width), to - from, H);
    product(*layer.key_value, in, kv + at(from, 2 * inner), 2 * inner);
    const int first = first_asking(live, from), count = first_asking(live, to) - first;
    if (count == to - from) return product(*layer.query, in, q + at(first, inner), inner);
    const Input asking = make_input(scratch, in.kind, count, H);
    for (int i = 0; i < count; ++i) copy_row(asking, i, in, live.asking[first + i] - from);
    product(*layer.query, asking, q + at(first, inner), inner);
  });
}

// What is added to the scores of a sequence's active rows at one head, [count, n].
inline const float *position_bias(Scratch &scratch, const EncoderLayer &layer, const Live &live, int s, int h) {
  const int row = live.row_start[s], n = live.row_start[s + 1] - row;
  const int first = live.active_start[s], count = live.active_start[s + 1] - first;
  const float *table = layer.bias + at(h, static_cast<size_t>(2 * layer.span - 1)) + layer.span - 1;
  float *bias = scratch.floats(static_cast<size_t>(count) * static_cast<size_t>(n));
  for (int i = 0; i < count; ++i)
    for (int j = 0; j < n; ++j)
      bias[i * n + j] = table[live.place[row + j] - live.place[live.asking[first + i]]];
  return bias;
}

// What each active row reads from its sequence, out [A, I].
inline void read(const EncoderLayer &layer, const Live &live, const float *kv, const float *q, float *out) {
  const int I = layer.query->N, d = I / layer.heads;
  const size_t inner = static_cast<size_t>(I);
  const auto head_of = [&](int task) {
    const int s = task / layer.heads, h = task % layer.heads;
    const int row = live.row_start[s], n = live.row_start[s + 1] - row;
    const int first = live.active_start[s], count = live.active_start[s + 1] - first;
    if (!count) return;
    Scratch scratch;
    float *keys = scratch.floats(turned_size(n, d));
    const float *from = kv + at(row, 2 * inner) + h * d;
    turn_keys(from, 2 * inner, n, d, keys);
    Scores scores;
    scores.scale = layer.scale;
    if (layer.bias) {
      scores.bias = position_bias(scratch, layer, live, s, h);
      scores.bias_stride = static_cast<size_t>(n);
    }
    attend(q + at(first, inner) + h * d, inner, count, {keys, from + I, 2 * inner, n, d}, scores,
           out + at(first, inner) + h * d, inner);
  };
  const int tasks = live.size * layer.heads;
  const double work = 2.0 * live.active * live.rows / larger(live.size, 1) * I;
  if (work > WORTH_A_THREAD) return parallel_for(tasks, head_of);
  for (int task = 0; task < tasks; ++task) head_of(task);
}

// x [n, H] -> y [n, H]: the feed-forward block on a few rows, x added, y normed where norms come last.
inline void feed_forward(const EncoderLayer &layer, const float *x, int n, int H, float *y) {
  const size_t width = static_cast<size_t>(H), wide = static_cast<size_t>(layer.ff_in->N);
  Scratch scratch;
  const EncoderNorm *norm = layer.pre_norm ? &layer.ff_norm : nullptr;
  const Input in = block_input(scratch, layer.ff_in->kind, norm, x, n, H);
  float *inner = scratch.floats(static_cast<size_t>(n) * wide);
  Then then{layer.activation, nullptr, 0, nullptr, 0};
  if (layer.gate) {
    float *gate = scratch.floats(static_cast<size_t>(n) * wide);
    product(*layer.gate, in, gate, wide);
    then.times = gate, then.times_stride = wide;
  }
  product(*layer.ff_in, in, inner, wide, then);
  const Input back = input_of(scratch, layer.ff_out->kind, inner, wide, n, layer.ff_out->K);
  product(*layer.ff_out, back, y, width, {NONE, x, width, nullptr, 0});
}

// Everything after the attention, in blocks of active rows; the new states replace the old.
inline void combine(const EncoderLayer &layer, Live &live, const float *read) {
  const int H = live.width, I = layer.output->K;
  const size_t width = static_cast<size_t>(H), inner = static_cast<size_t>(I);
  const double work = (layer.gate ? 3.0 : 2.0) * H * layer.ff_in->N + 1.0 * H * I;
  for_blocks(live.active, work, [&](int from, int to) {
    const int n = to - from;
    Scratch scratch;
    float *before = scratch.floats(static_cast<size_t>(n) * width);
    float *x = scratch.floats(static_cast<size_t>(n) * width);
    for (int i = 0; i < n; ++i)
      std::memcpy(before + at(i, width), live.hidden + at(live.asking[from + i], width), sizeof(float) * width);
    const Input in = input_of(scratch, layer.output->kind, read + at(from, inner), inner, n, I);
    product(*layer.output, in, x, width, {NONE, before, width, nullptr, 0});
    if (!layer.pre_norm)
      for (int i = 0; i < n; ++i) norm_row(layer.attention_norm, x + at(i, width), H, x + at(i, width));
    float *y = before; // no longer needed
    feed_forward(layer, x, n, H, y);
    for (int i = 0; i < n; ++i) {
      float *to_row = live.hidden + at(live.asking[from + i], width);
      if (layer.pre_norm) std::memcpy(to_row, y + at(i, width), sizeof(float) * width);
      else norm_row(layer.ff_norm, y + at(i, width), H, to_row);
    }
  });
}

inline void encoder_layer(const EncoderLayer &layer, Live &live) {
  const size_t inner = static_cast<size_t>(layer.query->N);
  Scratch scratch;
  float *kv = scratch.floats(static_cast<size_t>(live.rows) * 2 * inner);
  float *q = scratch.floats(static_cast<size_t>(live.active) * inner);
  float *out = scratch.floats(static_cast<size_t>(live.active) * inner);
  project(layer, live, kv, q);
  read(layer, live, kv, q, out);
  combine(layer, live, out);
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
