// exp and the activations on sixteen lanes. The same operations in the same order everywhere.
#pragma once
#include "api.h"
#include "vec.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

// 2^n of whole numbers, -126 <= n <= 127.
TX_INLINE F power_of_two(F n) { return as_float(shift_left<23>(add_int(to_int(n), splat_int(127)))); }

// e^x to about 1e-7 of it; 0 below -87.
TX_INLINE F exp(F x) {
  const F low = splat(-87.f), held = min(max(x, low), splat(88.f));
  const F n = round(mul(held, splat(1.44269504f)));
  F r = minus_fma(n, splat(0.693359375f), held); // ln 2 in two parts
  r = minus_fma(n, splat(-2.12194440e-4f), r);
  F p = splat(1.9875691500e-4f);
  p = fma(p, r, splat(1.3981999507e-3f));
  p = fma(p, r, splat(8.3334519073e-3f));
  p = fma(p, r, splat(4.1665795894e-2f));
  p = fma(p, r, splat(1.6666665459e-1f));
  p = fma(p, r, splat(5.0000001201e-1f));
  p = fma(mul(p, r), r, add(r, splat(1.f)));
  return choose(greater(low, x), zero(), mul(p, power_of_two(n)));
}

// 1 / x of positive numbers of ordinary size: three steps of Newton's, quicker than a division.
TX_INLINE F inverse(F x) {
  F r = as_float(sub_int(splat_int(0x7ef311c3), as_int(x)));
  TX_UNROLL for (int i = 0; i < 3; ++i) r = fma(r, minus_fma(x, r, splat(1.f)), r);
  return r;
}

// Abramowitz and Stegun 7.1.26, off by 2e-7 at most.
TX_INLINE F erf(F x) {
  const F size = min(abs(x), splat(10.f)), one = splat(1.f);
  const F t = inverse(fma(size, splat(0.3275911f), one));
  F p = fma(splat(1.061405429f), t, splat(-1.453152027f));
  p = fma(p, t, splat(1.421413741f));
  p = fma(p, t, splat(-0.284496736f));
  p = mul(fma(p, t, splat(0.254829592f)), t);
  return with_sign(minus_fma(p, exp(sub(zero(), mul(size, size))), one), x);
}

TX_INLINE F sigmoid(F x) { // 1 / (1 + e^-x)
  const F held = max(min(x, splat(80.f)), splat(-80.f));
  return inverse(add(splat(1.f), exp(sub(zero(), held))));
}

TX_INLINE F tanh(F x) { return fma(splat(2.f), sigmoid(add(x, x)), splat(-1.f)); }

TX_INLINE F gelu(F x) {
  const F half = mul(x, splat(0.5f));
  return fma(half, erf(mul(x, splat(0.70710678f))), half);
}

TX_INLINE F gelu_new(F x) { // with tanh: x sigmoid(2 y)
  const F cubed = fma(mul(mul(x, x), splat(0.044715f)), x, x);
  return mul(x, sigmoid(mul(cubed, splat(1.5957691f))));
}

TX_INLINE F silu(F x) { return mul(x, sigmoid(x)); }

TX_INLINE F activate(F x, int32_t activation) {
  switch (activation) {
  case RELU: return max(zero(), x); // NaN stays
  case GELU: return gelu(x);
  case GELU_NEW: return gelu_new(x);
  case SILU: return silu(x);
  case TANH: return tanh(x);
  default: return x;
  }
}

// x [n] in place.
inline void activate_all(float *x, int64_t n, int32_t activation) {
  for (int64_t i = 0; i < n; i += LANES) {
    const int left = n - i < LANES ? static_cast<int>(n - i) : LANES;
    store_to(x + i, activate(load_to(x + i, left), activation), left);
  }
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
