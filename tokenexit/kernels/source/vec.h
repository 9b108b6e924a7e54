// F: sixteen floats, I: sixteen integers, M: sixteen answers, on every instruction set. All that
// lies above is written once on these. Order of lanes and of sums is the same everywhere.
#pragma once
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

// Functions, members and lambdas that are always part of their caller.
#if defined(_MSC_VER)
#define TX_INLINE static __forceinline
#define TX_ALWAYS
#define TX_MEMBER __forceinline
#define TX_PREFETCH(p)
#else
#define TX_INLINE static inline __attribute__((always_inline))
#define TX_ALWAYS __attribute__((always_inline))
#define TX_MEMBER inline __attribute__((always_inline))
#define TX_PREFETCH(p) __builtin_prefetch(p)
#endif

// TOKENEXIT_ISA names the namespace, so that the linker never takes a function that was compiled
// for one processor to be the same function compiled for another. For the same reason nothing here
// uses templates or inline functions of the standard library.
namespace tokenexit {
namespace TOKENEXIT_ISA {

// body(0) ... body(N - 1) with numbers that the compiler knows from the start. Arrays that are only
// indexed by such numbers live in registers; with a loop, even an unrolled one, gcc keeps a copy in
// memory, at half the speed.
template <int N> struct Number {
  constexpr operator int() const { return N; }
};
template <int N, int FROM = 0, class Body> TX_INLINE void each(const Body &body) {
  if constexpr (FROM < N) {
    body(Number<FROM>{});
    each<N, FROM + 1>(body);
  }
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit

#if defined(TOKENEXIT_AVX512)
#include "vec_avx512.h"
#elif defined(TOKENEXIT_AVX2)
#include "vec_avx2.h"
#else
#include "vec_portable.h"
#endif

namespace tokenexit {
namespace TOKENEXIT_ISA {

constexpr int LANES = 16;

TX_INLINE int smaller(int a, int b) { return a < b ? a : b; }
TX_INLINE int larger(int a, int b) { return a > b ? a : b; }
TX_INLINE float larger(float a, float b) { return a > b ? a : b; }
TX_INLINE int round_up(int n, int to) { return (n + to - 1) / to * to; }
TX_INLINE size_t at(int row, size_t stride) { return static_cast<size_t>(row) * stride; }

// The next lanes of a row of n numbers; zeros behind its end.
TX_INLINE F load_to(const float *p, int n) { return n >= LANES ? load(p) : load_n(p, n); }
TX_INLINE void store_to(float *p, F v, int n) {
  if (n >= LANES) store(p, v);
  else store_n(p, v, n);
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
