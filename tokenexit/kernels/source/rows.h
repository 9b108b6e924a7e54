// What Python calls on many rows at once: a linear layer, quantising, norms, attention of a head.
#pragma once
#include "attention.h"
#include "norm.h"
#include "product.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

// y [rows, N] = activation(x [rows, K] W^T + b) * times + add; strides in floats.
static void linear(const Matrix *w, const float *x, int64_t x_stride, int32_t rows, float *y, int64_t y_stride,
                   int32_t activation, const float *plus, int64_t plus_stride, const float *times,
                   int64_t times_stride) {
  Scratch scratch;
  const Input in = input_of(scratch, w->kind, x, static_cast<size_t>(x_stride), rows, w->K);
  const Then then{activation, plus, static_cast<size_t>(plus_stride), times, static_cast<size_t>(times_stride)};
  product(*w, in, y, static_cast<size_t>(y_stride), then);
}

// x [rows, K] -> q [rows, K filled up to fours], scale and zero [rows].
static void quantize_rows(const float *x, int32_t rows, int32_t K, uint8_t *q, float *scale, int32_t *zero_point) {
  const size_t width = static_cast<size_t>(round_up(K, 4));
  for (int r = 0; r < rows; ++r)
    quantize(x + at(r, static_cast<size_t>(K)), K, q + at(r, width), scale + r, zero_point + r);
}

static void layer_norm_rows(const float *x, const float *weight, const float *bias, int32_t rows, int32_t n,
                            float epsilon, float *y) {
  for (int r = 0; r < rows; ++r) {
    const size_t i = at(r, static_cast<size_t>(n));
    layer_norm(x + i, weight, bias, n, epsilon, y + i);
  }
}

static void rms_norm_rows(const float *x, const float *weight, int32_t rows, int32_t n, float epsilon, float *y) {
  for (int r = 0; r < rows; ++r) {
    const size_t i = at(r, static_cast<size_t>(n));
    rms_norm(x + i, weight, n, epsilon, y + i);
  }
}

static void activation(float *x, int64_t n, int32_t which) { activate_all(x, n, which); }

// One head: q [rows, width] and out rows stride apart, k and v [n, width] rows stride apart.
static void attention(const float *q, const float *k, const float *v, int64_t stride, int32_t rows, int32_t n,
                      int32_t width, float scale, const float *bias, int64_t bias_stride, const float *mask,
                      float *out) {
  Scratch scratch;
  const size_t apart = static_cast<size_t>(stride);
  float *turned = scratch.floats(turned_size(n, width));
  turn_keys(k, apart, n, width, turned);
  const Scores scores{scale, bias, static_cast<size_t>(bias_stride), mask};
  attend(q, apart, rows, {turned, v, apart, n, width}, scores, out, apart);
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
