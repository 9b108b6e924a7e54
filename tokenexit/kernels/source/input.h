// Rows made ready for products: bytes for int8 weights, floats as they are for the others.
#pragma once
#include "api.h"
#include "quantize.h"
#include "scratch.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

// Rows [count, K] for matrices of one kind. Of int8: q [count, width], scale and zero [count].
struct Input {
  int32_t kind, K;
  int count;
  const float *rows;
  size_t stride;
  uint8_t *q;
  size_t width;
  float *scale;
  int32_t *zero;
};

// Room for rows that are set one by one with set_row; of fp32 and bf16 as floats.
inline Input make_input(Scratch &scratch, int32_t kind, int count, int K) {
  Input in{kind, K, count, nullptr, static_cast<size_t>(K), nullptr, 0, nullptr, nullptr};
  const size_t n = static_cast<size_t>(count);
  if (kind == INT8) {
    in.width = static_cast<size_t>(round_up(K, 4));
    in.q = scratch.take<uint8_t>(n * in.width + 64);
    in.scale = scratch.floats(n);
    in.zero = scratch.take<int32_t>(n);
  } else {
    in.rows = scratch.floats(n * in.stride);
  }
  return in;
}

// x [K] becomes row i.
inline void set_row(const Input &in, int i, const float *x) {
  if (in.kind == INT8) quantize(x, in.K, in.q + at(i, in.width), in.scale + i, in.zero + i);
  else std::memcpy(const_cast<float *>(in.rows) + at(i, in.stride), x, sizeof(float) * static_cast<size_t>(in.K));
}

// Row j of another becomes row i.
inline void copy_row(const Input &in, int i, const Input &from, int j) {
  if (in.kind != INT8) return set_row(in, i, from.rows + at(j, from.stride));
  std::memcpy(in.q + at(i, in.width), from.q + at(j, from.width), in.width);
  in.scale[i] = from.scale[j];
  in.zero[i] = from.zero[j];
}

// Rows x [count, K], stride apart: of int8 quantised, else looked at where they are.
inline Input input_of(Scratch &scratch, int32_t kind, const float *x, size_t stride, int count, int K) {
  if (kind != INT8) return {kind, K, count, x, stride, nullptr, 0, nullptr, nullptr};
  const Input in = make_input(scratch, kind, count, K);
  for (int i = 0; i < count; ++i) set_row(in, i, x + at(i, stride));
  return in;
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
