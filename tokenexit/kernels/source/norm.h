// Layer norm and root mean square norm of a row.
#pragma once
#include "vec.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

// y [n] = (x - mean) / sqrt(variance + epsilon) * weight + bias; y may be x, bias may be null.
inline void layer_norm(const float *x, const float *weight, const float *bias, int n, float epsilon, float *y) {
  F sum = zero();
  for (int k = 0; k < n; k += LANES) sum = add(sum, load_to(x + k, n - k));
  const F mean = splat(reduce_add(sum) / static_cast<float>(n));
  F squares = zero();
  for (int k = 0; k < n; k += LANES) {
    F d = sub(load_to(x + k, n - k), mean);
    if (n - k < LANES) d = choose(below(n - k), d, zero());
    squares = fma(d, d, squares);
  }
  const F factor = splat(1.f / std::sqrt(reduce_add(squares) / static_cast<float>(n) + epsilon));
  for (int k = 0; k < n; k += LANES) {
    const F d = mul(sub(load_to(x + k, n - k), mean), factor), w = load_to(weight + k, n - k);
    store_to(y + k, bias ? fma(d, w, load_to(bias + k, n - k)) : mul(d, w), n - k);
  }
}

// y [n] = x / sqrt(mean of x^2 + epsilon) * weight; y may be x.
inline void rms_norm(const float *x, const float *weight, int n, float epsilon, float *y) {
  F squares = zero();
  for (int k = 0; k < n; k += LANES) {
    const F v = load_to(x + k, n - k);
    squares = fma(v, v, squares);
  }
  const F factor = splat(1.f / std::sqrt(reduce_add(squares) / static_cast<float>(n) + epsilon));
  for (int k = 0; k < n; k += LANES)
    store_to(y + k, mul(mul(load_to(x + k, n - k), factor), load_to(weight + k, n - k)), n - k);
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
