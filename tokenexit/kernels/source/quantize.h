// Rows as bytes, each with a step and a zero of its own, so that no row depends on another:
//   x ~ scale (q - zero),  scale = (hi - lo) / 255,  lo = min(0, x), hi = max(0, x).
// kernels/reference.py says the same in torch, bit for bit.
#pragma once
#include "vec.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

// x [K] -> q [K], filled up with zeros to a multiple of 4.
inline void quantize(const float *x, int K, uint8_t *q, float *scale, int32_t *zero_point) {
  F lowest = zero(), highest = zero();
  for (int k = 0; k < K; k += LANES) {
    const F v = load_to(x + k, K - k);
    lowest = min(lowest, v);
    highest = max(highest, v);
  }
  const float low = reduce_min(lowest), high = reduce_max(highest);
  const float step = larger((high - low) / 255.f, 1e-12f), inverse = 1.f / step;
  const float origin = std::nearbyintf(-low * inverse);
  *scale = step;
  *zero_point = static_cast<int32_t>(larger(origin, 0.f)); // a NaN is 0
  const F factor = splat(inverse), shift = splat(origin), top = splat(255.f);
  const auto bytes = [&](F v) { return min(max(round(add(mul(v, factor), shift)), zero()), top); };
  int k = 0;
  for (; k + LANES <= K; k += LANES) store_bytes(q + k, bytes(load(x + k)));
  if (k < K) {
    alignas(16) uint8_t last[LANES];
    store_bytes(last, choose(below(K - k), bytes(load_n(x + k, K - k)), zero()));
    std::memcpy(q + k, last, static_cast<size_t>(round_up(K - k, 4)));
  }
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
