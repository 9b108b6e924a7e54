// Sixteen lanes in two registers: AVX2 with FMA, and AVX-VNNI where the processor has it.
#pragma once
#include <immintrin.h>

namespace tokenexit {
namespace TOKENEXIT_ISA {

struct F {
  __m256 a, b;
};
// Of 32-bit lanes; see vec_avx512.h.
typedef int32_t Ints __attribute__((vector_size(32)));
struct I {
  Ints a, b;
};
struct M {
  __m256 a, b;
};

TX_INLINE __m256i first8(int n) { // n <= 8, negative is none
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

TX_INLINE F zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
TX_INLINE F splat(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
TX_INLINE F load(const float *p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
TX_INLINE F load_n(const float *p, int n) {
  return {_mm256_maskload_ps(p, first8(n)),
          n > 8 ? _mm256_maskload_ps(p + 8, first8(n - 8)) : _mm256_setzero_ps()};
}
TX_INLINE __m256 wide8(const uint16_t *p) {
  const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p)));
  return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
TX_INLINE F load_bf16(const uint16_t *p) { return {wide8(p), wide8(p + 8)}; }
TX_INLINE void store(float *p, F v) {
  _mm256_storeu_ps(p, v.a);
  _mm256_storeu_ps(p + 8, v.b);
}
TX_INLINE void store_n(float *p, F v, int n) {
  _mm256_maskstore_ps(p, first8(n), v.a);
  if (n > 8) _mm256_maskstore_ps(p + 8, first8(n - 8), v.b);
}
TX_INLINE F add(F x, F y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
TX_INLINE F sub(F x, F y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
TX_INLINE F mul(F x, F y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
TX_INLINE F div(F x, F y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
TX_INLINE F fma(F x, F y, F z) { // x y + z
  return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
TX_INLINE F minus_fma(F x, F y, F z) { // z - x y
  return {_mm256_fnmadd_ps(x.a, y.a, z.a), _mm256_fnmadd_ps(x.b, y.b, z.b)};
}
TX_INLINE F min(F x, F y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
TX_INLINE F max(F x, F y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
TX_INLINE F round(F x) { // to even
  return {_mm256_round_ps(x.a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
          _mm256_round_ps(x.b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
TX_INLINE F abs(F x) {
  const __m256 sign = _mm256_set1_ps(-0.f);
  return {_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
}

TX_INLINE M greater(F x, F y) {
  return {_mm256_cmp_ps(x.a, y.a, _CMP_GT_OQ), _mm256_cmp_ps(x.b, y.b, _CMP_GT_OQ)};
}
TX_INLINE M below(int n) { // lanes 0 .. n-1
  return {_mm256_castsi256_ps(first8(n)), _mm256_castsi256_ps(first8(n - 8))};
}
TX_INLINE F choose(M m, F yes, F no) {
  return {_mm256_blendv_ps(no.a, yes.a, m.a), _mm256_blendv_ps(no.b, yes.b, m.b)};
}
TX_INLINE bool any(M m) { return _mm256_movemask_ps(_mm256_or_ps(m.a, m.b)) != 0; }

TX_INLINE __m256i bits(Ints v) { return reinterpret_cast<__m256i>(v); }
TX_INLINE Ints ints(__m256i v) { return reinterpret_cast<Ints>(v); }
TX_INLINE __m256i load_256(const void *p) { return _mm256_loadu_si256(static_cast<const __m256i *>(p)); }
TX_INLINE void store_256(void *p, Ints v) { _mm256_storeu_si256(static_cast<__m256i *>(p), bits(v)); }

TX_INLINE I none() { return {Ints{}, Ints{}}; }
TX_INLINE I splat_int(int32_t x) { return {x - Ints{}, x - Ints{}}; }
TX_INLINE I load_int(const int32_t *p) { return {ints(load_256(p)), ints(load_256(p + 8))}; }
TX_INLINE void store_int(int32_t *p, I x) {
  store_256(p, x.a);
  store_256(p + 8, x.b);
}
TX_INLINE I add_int(I x, I y) { return {x.a + y.a, x.b + y.b}; }
TX_INLINE I sub_int(I x, I y) { return {x.a - y.a, x.b - y.b}; }
TX_INLINE I mul_int(I x, I y) { return {x.a * y.a, x.b * y.b}; }
template <int BITS> TX_INLINE I shift_left(I x) { return {x.a << BITS, x.b << BITS}; }
TX_INLINE F to_float(I x) { return {_mm256_cvtepi32_ps(bits(x.a)), _mm256_cvtepi32_ps(bits(x.b))}; }
TX_INLINE I to_int(F x) { return {ints(_mm256_cvtps_epi32(x.a)), ints(_mm256_cvtps_epi32(x.b))}; } // to even
TX_INLINE F as_float(I x) { return {reinterpret_cast<__m256>(x.a), reinterpret_cast<__m256>(x.b)}; }
TX_INLINE I as_int(F x) { return {reinterpret_cast<Ints>(x.a), reinterpret_cast<Ints>(x.b)}; }
TX_INLINE F with_sign(F size, F sign) {
  const __m256 bit = _mm256_set1_ps(-0.f);
  return {_mm256_or_ps(size.a, _mm256_and_ps(bit, sign.a)),
          _mm256_or_ps(size.b, _mm256_and_ps(bit, sign.b))};
}
// Whole numbers of 0 .. 255 as bytes.
TX_INLINE void store_bytes(uint8_t *p, F x) {
  const __m256i pairs = _mm256_packus_epi32(_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b));
  const __m256i order = _mm256_permute4x64_epi64(pairs, 0xd8);
  const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(order), _mm256_extracti128_si256(order, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i *>(p), bytes);
}

TX_INLINE float reduce_add(F x) { // lane i with i + 8, then + 4, + 2, + 1
  const __m256 s = _mm256_add_ps(x.a, x.b);
  __m128 h = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
  h = _mm_add_ps(h, _mm_movehl_ps(h, h));
  return _mm_cvtss_f32(_mm_add_ss(h, _mm_shuffle_ps(h, h, 1)));
}
TX_INLINE float reduce_max(F x) {
  const __m256 s = _mm256_max_ps(x.a, x.b);
  __m128 h = _mm_max_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
  h = _mm_max_ps(h, _mm_movehl_ps(h, h));
  return _mm_cvtss_f32(_mm_max_ss(h, _mm_shuffle_ps(h, h, 1)));
}
TX_INLINE float reduce_min(F x) {
  const __m256 s = _mm256_min_ps(x.a, x.b);
  __m128 h = _mm_min_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
  h = _mm_min_ps(h, _mm_movehl_ps(h, h));
  return _mm_cvtss_f32(_mm_min_ss(h, _mm_shuffle_ps(h, h, 1)));
}

TX_INLINE void transpose8(__m256 (&r)[8]) {
  __m256 t[8], u[8];
  each<4>([&](auto i) TX_ALWAYS {
    t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  });
  each<2>([&](auto i) TX_ALWAYS {
    u[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
    u[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
    u[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
    u[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
  });
  each<4>([&](auto c) TX_ALWAYS {
    r[c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x20);
    r[4 + c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x31);
  });
}
// r[i] lane j becomes r[j] lane i.
TX_INLINE void transpose(F (&r)[16]) {
  __m256 corner[4][8];
  each<8>([&](auto i) TX_ALWAYS {
    corner[0][i] = r[i].a;
    corner[1][i] = r[i].b;
    corner[2][i] = r[8 + i].a;
    corner[3][i] = r[8 + i].b;
  });
  each<4>([&](auto q) TX_ALWAYS { transpose8(corner[q]); });
  each<8>([&](auto i) TX_ALWAYS {
    r[i] = {corner[0][i], corner[2][i]};
    r[8 + i] = {corner[1][i], corner[3][i]};
  });
}

struct Weights4 { // sixteen columns of four signed bytes each
  __m256i a, b;
};
TX_INLINE Weights4 weights4(const int8_t *p) { return {load_256(p), load_256(p + 32)}; }

#if defined(__AVXVNNI__)
struct Bytes4 { // four bytes of a row, for all columns
  __m256i v;
};
TX_INLINE Bytes4 bytes4(const uint8_t *p) {
  int32_t four;
  std::memcpy(&four, p, 4);
  return {_mm256_set1_epi32(four)};
}
TX_INLINE I dot4(I sum, Bytes4 x, Weights4 w) {
  return {ints(_mm256_dpbusd_avx_epi32(bits(sum.a), x.v, w.a)), ints(_mm256_dpbusd_avx_epi32(bits(sum.b), x.v, w.b))};
}
constexpr int TILE_ROWS = 6;
#else
// Two products of a byte with a signed byte do not fit into 16 bits. They do when the byte is
// written as x + 128: 2 * 128 * 127 < 2^15. What 128 adds is known beforehand; see product.h.
struct Bytes4 {
  __m256i x, size;
};
#define TOKENEXIT_CENTRED_BYTES
TX_INLINE Bytes4 bytes4(const uint8_t *p) {
  int32_t four;
  std::memcpy(&four, p, 4);
  const __m256i x = _mm256_xor_si256(_mm256_set1_epi32(four), _mm256_set1_epi8(-128));
  return {x, _mm256_abs_epi8(x)};
}
TX_INLINE Ints dot4_half(Ints sum, Bytes4 x, __m256i w) {
  const __m256i pairs = _mm256_maddubs_epi16(x.size, _mm256_sign_epi8(w, x.x));
  return sum + ints(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
TX_INLINE I dot4(I sum, Bytes4 x, Weights4 w) {
  return {dot4_half(sum.a, x, w.a), dot4_half(sum.b, x, w.b)};
}
constexpr int TILE_ROWS = 4;
#endif

// Sums of bytes times signed bytes; they never need to be carried over.
typedef I ByteSum;
constexpr int SUM_STEPS = INT32_MAX;
TX_INLINE I no_sum() { return none(); }
TX_INLINE void keep_sum(int32_t *p, I sum, bool) { store_int(p, sum); }

// Tiles whose sums fit into the 16 registers: columns in sixteens.
template <class V> TX_INLINE void in_register(V &) {} // there are too few
constexpr int tile_columns(int rows) { return rows == 1 ? 4 : rows == 2 ? 2 : 1; }
constexpr int ATTEND_ROWS = 4;

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
