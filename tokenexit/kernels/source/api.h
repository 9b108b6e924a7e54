// The plain C interface: what Python and the kernels have in common.
#pragma once
#include <cstddef>
#include <cstdint>

#if defined(_WIN32)
#define TOKENEXIT_API extern "C" __declspec(dllexport)
#else
#define TOKENEXIT_API extern "C" __attribute__((visibility("default")))
#endif

// Goes up when a structure or a signature changes; Python refuses another one.
#define TOKENEXIT_ABI 2

namespace tokenexit {

// How the weights of a matrix are stored. As in kernels/matrix.py.
enum Kind : int32_t { INT8 = 0, FP32 = 1, BF16 = 2 };

// What is done to a sum before it is written. As in kernels/matrix.py.
enum Activation : int32_t { NONE = 0, RELU = 1, GELU = 2, GELU_NEW = 3, SILU = 4, TANH = 5 };

// A linear layer, x [M, K] -> x W^T + b [M, N]; columns lie in panels of 64, the last one filled
// with zeros. Python owns the memory.
//   INT8: w [N / 64, K / 4, 64, 4] bytes;  FP32, BF16: w [N / 64, K, 64].
//   scale, sum [N]: of INT8 only; one step of a weight, and the sum of a column's weights.
struct Matrix {
  int32_t kind, K, N;
  const void *w;
  const float *scale;
  const int32_t *sum;
  const float *bias; // never null
};

} // namespace tokenexit
