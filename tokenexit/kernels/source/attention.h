// Attention of one head: softmax(scale q K^T + bias + mask) V. Keys lie turned, in blocks of 16
// places [n / 16, width, 16], so that a load brings one number of 16 keys.
#pragma once
#include "math.h"
#include "scratch.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

// n keys and values of one head. Places behind the last key are read and left out: any number may
// stand there, in turned keys there must be room for them.
struct Head {
  const float *keys;   // [ceil(n / 16), width, 16]
  const float *values; // [n, width], rows value_stride apart
  size_t value_stride;
  int n, width;
};

// bias [rows, n]: rows bias_stride apart, 0 for one that serves all; mask [n]. Both are added.
struct Scores {
  float scale = 1.f;
  const float *bias = nullptr;
  size_t bias_stride = 0;
  const float *mask = nullptr;
};

// Floats that the turned keys of a head take.
TX_INLINE size_t turned_size(int n, int width) {
  return static_cast<size_t>(round_up(n, LANES)) * static_cast<size_t>(width);
}

// One key [width] goes to place j of turned keys.
inline void turn_key(const float *key, int width, int j, float *turned) {
  float *to = turned + at(j / LANES, static_cast<size_t>(width) * LANES) + j % LANES;
  for (int k = 0; k < width; ++k) to[k * LANES] = key[k];
}

// Keys [n, width], rows stride apart, turned.
inline void turn_keys(const float *keys, size_t stride, int n, int width, float *turned) {
  for (int j = 0; j < n; j += LANES) {
    float *to = turned + at(j, static_cast<size_t>(width));
    const int here = smaller(LANES, n - j);
    for (int k = 0; k < width; k += LANES) {
      F rows[LANES];
      for (int i = 0; i < LANES; ++i) rows[i] = i < here ? load_to(keys + at(j + i, stride) + k, width - k) : zero();
      transpose(rows);
      for (int i = 0; i < smaller(LANES, width - k); ++i) store(to + (k + i) * LANES, rows[i]);
    }
  }
}

// Scores of R queries with B blocks of keys from j on, into weights [R, room]; their greatest so far.
template <int R, int B>
TX_INLINE void score(const float *q, size_t q_stride, const Head &head, const Scores &scores, int j, float *weights,
                     size_t room, F (&highest)[R]) {
  const size_t block = at(LANES, static_cast<size_t>(head.width));
  const float *keys = head.keys + at(j / LANES, block);
  F sums[R][B];
  each<R>([&](auto r) TX_ALWAYS { each<B>([&](auto b) TX_ALWAYS { sums[r][b] = zero(); }); });
  for (int k = 0; k < head.width; ++k, keys += LANES, ++q) {
    each<B>([&](auto b) TX_ALWAYS {
      const F key = load(keys + b * block);
      each<R>([&](auto r) TX_ALWAYS { sums[r][b] = fma(splat(q[at(r, q_stride)]), key, sums[r][b]); });
    });
  }
  each<B>([&](auto b) TX_ALWAYS {
    const int from = j + b * LANES, left = head.n - from;
    each<R>([&](auto r) TX_ALWAYS {
      F s = mul(sums[r][b], splat(scores.scale));
      if (scores.bias) s = add(s, load_to(scores.bias + at(r, scores.bias_stride) + from, left));
      if (scores.mask) s = add(s, load_to(scores.mask + from, left));
      if (left < LANES) s = choose(below(left), s, splat(-FLT_MAX));
      highest[r] = max(s, highest[r]);
      store(weights + at(r, room) + from, s);
    });
  });
}

// Scores of R queries; weights [R, room], unnormalised, and 1 / their sum.
template <int R>
static void weigh(const float *q, size_t q_stride, const Head &head, const Scores &scores, float *weights, size_t room,
                  float *inverse_sum) {
  constexpr int MANY = ATTEND_ROWS / R; // as many sums as the registers hold, for one waits for the last
  F highest[R];
  each<R>([&](auto r) TX_ALWAYS { highest[r] = splat(-FLT_MAX); });
  int j = 0;
  for (; j + (MANY - 1) * LANES < head.n; j += MANY * LANES)
    score<R, MANY>(q, q_stride, head, scores, j, weights, room, highest);
  for (; j < head.n; j += LANES) score<R, 1>(q, q_stride, head, scores, j, weights, room, highest);
  for (int r = 0; r < R; ++r) {
    const F top = splat(reduce_max(highest[r]));
    F sum = zero();
    float *row = weights + at(r, room);
    for (int j = 0; j < head.n; j += LANES) {
      F e = exp(sub(load(row + j), top));
      if (head.n - j < LANES) e = choose(below(head.n - j), e, zero());
      sum = add(sum, e);
      store(row + j, e);
    }
    const float total = reduce_add(sum);
    inverse_sum[r] = total > 0.f ? 1.f / total : 0.f; // nothing to look at: zeros
  }
}

// out [R, 16 C] of the values' columns from c on.
template <int R, int C>
static void gather(const float *weights, size_t room, const float *inverse_sum, const Head &head, int c, float *out,
                   size_t out_stride) {
  F sums[R][C];
  each<R>([&](auto r) TX_ALWAYS { each<C>([&](auto i) TX_ALWAYS { sums[r][i] = zero(); }); });
  const float *value = head.values + c;
  const int left = head.width - c;
  const bool whole = left >= C * LANES;
  for (int j = 0; j < head.n; ++j, value += head.value_stride) {
    F v[C];
    each<C>([&](auto i) TX_ALWAYS {
      v[i] = whole ? load(value + i * LANES) : load_to(value + i * LANES, left - i * LANES);
    });
    const float *row = weights + j;
    each<R>([&](auto r) TX_ALWAYS {
      const F weight = splat(row[at(r, room)]);
      each<C>([&](auto i) TX_ALWAYS { sums[r][i] = fma(weight, v[i], sums[r][i]); });
    });
  }
  each<R>([&](auto r) TX_ALWAYS {
    each<C>([&](auto i) TX_ALWAYS {
      store_to(out + at(r, out_stride) + c + i * LANES, mul(sums[r][i], splat(inverse_sum[r])), left - i * LANES);
    });
  });
}

template <int R>
static void attend_some(const float *q, size_t q_stride, const Head &head, const Scores &scores, float *weights,
                        size_t room, float *out, size_t out_stride) {
  float inverse_sum[R];
  weigh<R>(q, q_stride, head, scores, weights, room, inverse_sum);
  int c = 0;
  for (; c + LANES < head.width; c += 2 * LANES) gather<R, 2>(weights, room, inverse_sum, head, c, out, out_stride);
  if (c < head.width) gather<R, 1>(weights, room, inverse_sum, head, c, out, out_stride);
}

// Queries [rows, width] of one head to out [rows, width].
inline void attend(const float *q, size_t q_stride, int rows, const Head &head, const Scores &scores, float *out,
                   size_t out_stride) {
  Scratch scratch;
  const size_t room = static_cast<size_t>(round_up(head.n, LANES));
  float *weights = scratch.floats(room * ATTEND_ROWS);
  for (int r = 0; r < rows;) {
    Scores here = scores;
    if (here.bias) here.bias += at(r, here.bias_stride);
    const float *from = q + at(r, q_stride);
    float *to = out + at(r, out_stride);
    if (ATTEND_ROWS >= 8 && rows - r >= 8) {
      attend_some<8>(from, q_stride, head, here, weights, room, to, out_stride);
      r += 8;
    } else if (rows - r >= 4) {
      attend_some<4>(from, q_stride, head, here, weights, room, to, out_stride);
      r += 4;
    } else {
      attend_some<1>(from, q_stride, head, here, weights, room, to, out_stride);
      r += 1;
    }
  }
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
