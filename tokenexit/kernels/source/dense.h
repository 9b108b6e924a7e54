// Small products in float32 with weights that stay where the network has them, so that whatever is
// done to them is seen.
#pragma once
#include "encoder.h"
#include "vec.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

// R rows times C columns, y [R, out]; each sums up in the same order, whatever the tile.
template <int R, int C> static void dense_tile(const EncoderDense &dense, int column, const float *x, float *y) {
  F sums[R * C];
  each<R * C>([&](auto i) TX_ALWAYS { sums[i] = zero(); });
  const size_t in = static_cast<size_t>(dense.in), out = static_cast<size_t>(dense.out);
  const float *w = dense.weight + at(column, in);
  for (int k = 0; k < dense.in; k += LANES, x += LANES, w += LANES) {
    const int left = dense.in - k;
    F state[R];
    each<R>([&](auto r) TX_ALWAYS { state[r] = load_to(x + at(r, in), left); });
    each<C>([&](auto c) TX_ALWAYS {
      const F weights = load_to(w + at(c, in), left);
      each<R>([&](auto r) TX_ALWAYS { sums[r * C + c] = fma(state[r], weights, sums[r * C + c]); });
    });
  }
  each<R>([&](auto r) TX_ALWAYS {
    each<C>([&](auto c) TX_ALWAYS {
      y[at(r, out) + static_cast<size_t>(column + c)] =
          reduce_add(sums[r * C + c]) + (dense.bias ? dense.bias[column + c] : 0.f);
    });
  });
}

template <int R> static void dense_some(const EncoderDense &dense, const float *x, float *y) {
  int c = 0;
  for (; c + 4 <= dense.out; c += 4) dense_tile<R, 4>(dense, c, x, y);
  for (; c < dense.out; ++c) dense_tile<R, 1>(dense, c, x, y);
}

// x [n, in] -> y [n, out].
inline void dense_rows(const EncoderDense &dense, const float *x, int n, float *y) {
  const size_t in = static_cast<size_t>(dense.in), out = static_cast<size_t>(dense.out);
  int i = 0;
  for (; i + 4 <= n; i += 4) dense_some<4>(dense, x + at(i, in), y + at(i, out));
  for (; i < n; ++i) dense_some<1>(dense, x + at(i, in), y + at(i, out));
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
