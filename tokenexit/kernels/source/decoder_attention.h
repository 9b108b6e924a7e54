// Attention of one token over keys and values that lie in blocks of 16 places.
#pragma once
#include "decoder_model.h"
#include "math.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

// A cache holds floats or bfloat16; what is computed with them is floats.
TX_INLINE F load_any(const float *p) { return load(p); }
TX_INLINE F load_any(const uint16_t *p) { return load_bf16(p); }
TX_INLINE void keep(float x, float *p) { *p = x; }
TX_INLINE void keep(float x, uint16_t *p) { // to the nearest, to even
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  *p = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// One head of one sequence: its i-th block of keys, [W, 16], lies at keys + number[i] * stride, and
// its values, [16, W], at values + number[i] * stride; W: the head's width rounded up to 16.
template <class T> struct Blocks {
  const T *keys, *values;
  const int32_t *number;
  size_t stride;
};

constexpr float LOWEST = -1e30f;

// Scores of one query against 16 keys, in four sums so that none waits for another.
template <class T> TX_INLINE F block_scores(const float *query, const T *keys, int d) {
  F a = zero(), b = zero(), e = zero(), f = zero();
  int k = 0;
  for (; k + 4 <= d; k += 4, keys += 4 * BLOCK) {
    a = fma(splat(query[k]), load_any(keys), a);
    b = fma(splat(query[k + 1]), load_any(keys + 16), b);
    e = fma(splat(query[k + 2]), load_any(keys + 32), e);
    f = fma(splat(query[k + 3]), load_any(keys + 48), f);
  }
  for (; k < d; ++k, keys += BLOCK) a = fma(splat(query[k]), load_any(keys), a);
  return add(add(a, b), add(e, f));
}

// The columns from .. from + 16 C of what is read; even and odd places have sums of their own.
template <int C, class T>
TX_INLINE void read_values(const Blocks<T> &blocks, int n, int d, int from, const float *share, F norm,
                           float *out) {
  const int width = round_up(d, LANES);
  F even[C], odd[C];
  each<C>([&](auto c) TX_ALWAYS { even[c] = odd[c] = zero(); });
  for (int j = 0; j < n; j += BLOCK) {
    const T *v = blocks.values + at(blocks.number[j / BLOCK], blocks.stride) + from;
    const int here = smaller(n - j, BLOCK);
    int i = 0;
    for (; i + 2 <= here; i += 2, v += 2 * width) {
      const F p = splat(share[j + i]), q = splat(share[j + i + 1]);
      each<C>([&](auto c) TX_ALWAYS {
        even[c] = fma(p, load_any(v + 16 * c), even[c]);
        odd[c] = fma(q, load_any(v + width + 16 * c), odd[c]);
      });
    }
    if (i == here) continue;
    const F p = splat(share[j + i]);
    each<C>([&](auto c) TX_ALWAYS { even[c] = fma(p, load_any(v + 16 * c), even[c]); });
  }
  each<C>([&](auto c) TX_ALWAYS {
    store_to(out + from + 16 * c, mul(add(even[c], odd[c]), norm), d - from - 16 * c);
  });
}

// What one head of one token reads, [d], from n keys; bias [n] or null; share: room for n rounded up
// to 16.
template <class T>
inline void attend_blocks(const float *query, const Blocks<T> &blocks, int n, int d, float scale,
                          const float *bias, float *share, float *out) {
  F high = splat(LOWEST);
  for (int j = 0; j < n; j += BLOCK) {
    const T *keys = blocks.keys + at(blocks.number[j / BLOCK], blocks.stride);
    F s = mul(block_scores(query, keys, d), splat(scale));
    if (bias) s = add(s, load_to(bias + j, n - j));
    s = choose(below(n - j), s, splat(LOWEST));
    high = max(high, s);
    store(share + j, s);
  }
  const F top = splat(reduce_max(high));
  F sum = zero();
  for (int j = 0; j < n; j += BLOCK) {
    const F e = choose(below(n - j), exp(sub(load(share + j), top)), zero());
    sum = add(sum, e);
    store(share + j, e);
  }
  const F norm = splat(n ? 1.f / reduce_add(sum) : 0.f);
  for (int c = 0; c < d; c += 64) {
    const int width = round_up(d - c, 16);
    if (width >= 64) read_values<4>(blocks, n, d, c, share, norm, out);
    else if (width == 48) read_values<3>(blocks, n, d, c, share, norm, out);
    else if (width == 32) read_values<2>(blocks, n, d, c, share, norm, out);
    else read_values<1>(blocks, n, d, c, share, norm, out);
  }
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
