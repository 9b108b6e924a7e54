// Weights laid out for products: panels of 64 columns, the last one filled with zeros.
#include "api.h"

namespace {

constexpr int PANEL = 64;

// w [N, K] -> packed [N / 64, K / step, 64, step].
template <class T> void pack(const T *w, int N, int K, int step, T *packed) {
  for (int n0 = 0; n0 < N; n0 += PANEL)
    for (int k0 = 0; k0 < K; k0 += step)
      for (int n = n0; n < n0 + PANEL; ++n)
        for (int k = k0; k < k0 + step; ++k)
          *packed++ = n < N && k < K ? w[static_cast<size_t>(n) * static_cast<size_t>(K) + static_cast<size_t>(k)] : T(0);
}

} // namespace

// w [N, K] -> packed [N / 64, K / 4, 64, 4], sum [N].
TOKENEXIT_API void tokenexit_pack_int8(const int8_t *w, int32_t N, int32_t K, int8_t *packed, int32_t *sum) {
  pack(w, N, K, 4, packed);
  for (int n = 0; n < N; ++n) {
    sum[n] = 0;
    for (int k = 0; k < K; ++k) sum[n] += *w++;
  }
}

// w [N, K] -> packed [N / 64, K, 64].
TOKENEXIT_API void tokenexit_pack_fp32(const float *w, int32_t N, int32_t K, float *packed) {
  pack(w, N, K, 1, packed);
}
TOKENEXIT_API void tokenexit_pack_bf16(const uint16_t *w, int32_t N, int32_t K, uint16_t *packed) {
  pack(w, N, K, 1, packed);
}
