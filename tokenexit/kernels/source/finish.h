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

TX_INLINE I load_int_to(const int32_t *p, int n) {
  if (n >= LANES) return load_int(p);
  alignas(64) int32_t some[LANES] = {};
  for (int i = 0; i < n; ++i) some[i] = p[i];
  return load_int(some);
}

// What sixteen columns have in common, and what their sums in row r stand for.
struct Int8Columns {
  I sum;
  F scale;
  Int8Columns(const Matrix &w, int n, int left)
      : sum(load_int_to(w.sum + n, left)), scale(load_to(w.scale + n, left)) {}
  TX_MEMBER F value(const Input &in, int r, const int32_t *sums) const {
    const F whole = to_float(sub_int(load_int(sums), mul_int(splat_int(in.zero[r] - CENTRE), sum)));
    return mul(mul(whole, splat(in.scale[r])), scale);
  }
};
struct FloatColumns {
  FloatColumns(const Matrix &, int, int) {}
  TX_MEMBER F value(const Input &, int, const float *sums) const { return load(sums); }
};

// Writes a tile; sums [R, C, 16].
template <class Columns, int32_t ACTIVATION, class Sum>
static void finish_as(const Matrix &w, const Input &in, Place place, int R, int C, const Sum *sums, const Then then,
                      float *y, size_t stride) {
  for (int c = 0; c < C; ++c) {
    const int n = place.column + c * LANES, left = w.N - n;
    if (left <= 0) break;
    const Columns columns(w, n, left);
    const F bias = load_to(w.bias + n, left);
    for (int i = 0; i < R; ++i) {
      const int r = place.row + i;
      F v = activate<ACTIVATION>(add(columns.value(in, r, sums + (i * C + c) * LANES), bias));
      if (then.times) v = mul(v, load_to(then.times + at(r, then.times_stride) + n, left));
      if (then.add) v = add(v, load_to(then.add + at(r, then.add_stride) + n, left));
      store_to(y + at(r, stride) + n, v, left);
    }
  }
}

template <class Columns, class Sum>
static void finish(const Matrix &w, const Input &in, Place place, int R, int C, const Sum *sums, const Then &then,
                   float *y, size_t stride) {
  with_activation(then.activation, [&](auto activation) {
    finish_as<Columns, activation>(w, in, place, R, C, sums, then, y, stride);
  });
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
