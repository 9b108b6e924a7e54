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
  for (int i = 0; i < 3; ++i) r = fma(r, minus_fma(x, r, splat(1.f)), r);
  return r;
}

// x times a polynomial of v = x^2 / 3.75^2 * 2 - 1, off by 2.5e-7 at most; 1 from 3.75 on.
TX_INLINE F erf(F x) {
  constexpr float TERMS[] = {8.11043952e-4f, -2.18415307e-3f, 2.08353251e-3f, -3.1097536e-3f,  8.91346578e-3f,
                             -1.66219454e-2f, 2.50466261e-2f, -3.73694636e-2f, 5.36008514e-2f, -7.16000944e-2f,
                             9.07415375e-2f, -0.11194066f,    0.139268756f,   -0.188030019f,  0.37705696f};
  const F held = max(min(x, splat(3.75f)), splat(-3.75f));
  const F v = fma(mul(held, held), splat(2.f / (3.75f * 3.75f)), splat(-1.f));
  F p = splat(TERMS[0]);
  each<14>([&](auto i) TX_ALWAYS { p = fma(p, v, splat(TERMS[i + 1])); });
  return mul(p, held);
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

template <int32_t ACTIVATION> TX_INLINE F activate(F x) {
  if constexpr (ACTIVATION == RELU) return max(zero(), x); // NaN stays
  if constexpr (ACTIVATION == GELU) return gelu(x);
  if constexpr (ACTIVATION == GELU_NEW) return gelu_new(x);
  if constexpr (ACTIVATION == SILU) return silu(x);
  if constexpr (ACTIVATION == TANH) return tanh(x);
  return x;
}

// body(number) with the activation as a number that the compiler knows.
template <class Body> TX_INLINE void with_activation(int32_t activation, const Body &body) {
  switch (activation) {
  case RELU: return body(Number<RELU>{});
  case GELU: return body(Number<GELU>{});
  case GELU_NEW: return body(Number<GELU_NEW>{});
  case SILU: return body(Number<SILU>{});
  case TANH: return body(Number<TANH>{});
  default: return body(Number<NONE>{});
  }
}

// x [n] in place.
inline void activate_all(float *x, int64_t n, int32_t activation) {
  with_activation(activation, [&](auto which) {
    for (int64_t i = 0; i < n; i += LANES) {
      const int left = n - i < LANES ? static_cast<int>(n - i) : LANES;
      store_to(x + i, activate<which>(load_to(x + i, left)), left);
    }
  });
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
