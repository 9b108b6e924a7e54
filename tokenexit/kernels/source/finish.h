// From the sums of a product to what is written: scales, bias, activation, and what is joined in.
#pragma once
#include "input.h"
#include "math.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

// y = activation(sum) * times + add; times and add [rows, N] may be null, add may be y.
struct Then {
  int32_t activation = NONE;
  const float *add = nullptr;
  size_t add_stride = 0;
  const float *times = nullptr;
  size_t times_stride = 0;
};

// Where a tile lies: rows and columns from these on.
struct Place {
  int row, column;
};

#if defined(TOKENEXIT_CENTRED_BYTES)
constexpr int32_t CENTRE = 128; // dot4 sums (q - 128) w
#else
constexpr int32_t CENTRE = 0;
#endif

// What sixteen sums of row r stand for.
TX_INLINE F value(const Matrix &w, const Input &in, int r, int n, int left, const int32_t *sums) {
  alignas(64) int32_t weights[LANES] = {};
  I sum_of_weights;
  if (left >= LANES) {
    sum_of_weights = load_int(w.sum + n);
  } else {
    for (int i = 0; i < left; ++i) weights[i] = w.sum[n + i];
    sum_of_weights = load_int(weights);
  }
  const I origin = splat_int(in.zero[r] - CENTRE);
  const F sum = to_float(sub_int(load_int(sums), mul_int(origin, sum_of_weights)));
  return mul(mul(sum, splat(in.scale[r])), load_to(w.scale + n, left));
}

TX_INLINE F value(const Matrix &, const Input &, int, int, int, const float *sums) { return load(sums); }

// Writes a tile; sums [R, C, 16].
template <class Sum>
static void finish(const Matrix &w, const Input &in, Place place, int R, int C, const Sum *sums, const Then &then,
                   float *y, size_t stride) {
  for (int c = 0; c < C; ++c) {
    const int n = place.column + c * LANES, left = w.N - n;
    if (left <= 0) break;
    const F bias = load_to(w.bias + n, left);
    for (int i = 0; i < R; ++i) {
      const int r = place.row + i;
      F v = activate(add(value(w, in, r, n, left, sums + (i * C + c) * LANES), bias), then.activation);
      if (then.times) v = mul(v, load_to(then.times + at(r, then.times_stride) + n, left));
      if (then.add) v = add(v, load_to(then.add + at(r, then.add_stride) + n, left));
      store_to(y + at(r, stride) + n, v, left);
    }
  }
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
