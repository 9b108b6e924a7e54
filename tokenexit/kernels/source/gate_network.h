// The small network of a context gate.
#pragma once
#include "context.h"
#include "dense.h"
#include "math.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

// x [n, F] -> how likely the exit is wrong, [n].
inline void ask_gate(const Context &context, int gate, const float *x, int n, float *wrong) {
  Scratch scratch;
  const size_t I = static_cast<size_t>(larger(context.inner, 1)), inputs = static_cast<size_t>(context.inputs);
  float *units = context.inner ? scratch.floats(at(n, I)) : wrong;
  const EncoderDense first{context.weight + at(gate, I * inputs), context.bias + at(gate, I), context.inputs,
                           static_cast<int32_t>(I)};
  dense_rows(first, x, n, units);
  if (context.inner) {
    activate_all(units, static_cast<int64_t>(at(n, I)), RELU);
    const EncoderDense last{context.out + at(gate, I), context.out_bias + gate, context.inner, 1};
    dense_rows(last, units, n, wrong);
  }
  for (int i = 0; i < n; ++i) wrong[i] = 1.f / (1.f + expf(-wrong[i]));
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
