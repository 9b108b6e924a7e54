// Sixteen lanes in one register: AVX-512 with VNNI.
#pragma once
#include <immintrin.h>

namespace tokenexit {
namespace TOKENEXIT_ISA {

struct F {
  __m512 v;
};
// Of 32-bit lanes, as the products' instructions have it: __m512i is of 64-bit ones, and gcc would
// move sums between registers of both kinds, or to memory.
typedef int32_t Ints __attribute__((vector_size(64)));
struct I {
  Ints v;
};
struct M {
  __mmask16 v;
};

TX_INLINE __mmask16 first(int n) { return static_cast<__mmask16>((1u << n) - 1u); } // n <= 16

TX_INLINE F zero() { return {_mm512_setzero_ps()}; }
TX_INLINE F splat(float x) { return {_mm512_set1_ps(x)}; }
TX_INLINE F load(const float *p) { return {_mm512_loadu_ps(p)}; }
TX_INLINE F load_n(const float *p, int n) { return {_mm512_maskz_loadu_ps(first(n), p)}; }
TX_INLINE F load_bf16(const uint16_t *p) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(p)));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}
TX_INLINE void store(float *p, F a) { _mm512_storeu_ps(p, a.v); }
TX_INLINE void store_n(float *p, F a, int n) { _mm512_mask_storeu_ps(p, first(n), a.v); }
TX_INLINE F add(F a, F b) { return {_mm512_add_ps(a.v, b.v)}; }
TX_INLINE F sub(F a, F b) { return {_mm512_sub_ps(a.v, b.v)}; }
TX_INLINE F mul(F a, F b) { return {_mm512_mul_ps(a.v, b.v)}; }
TX_INLINE F div(F a, F b) { return {_mm512_div_ps(a.v, b.v)}; }
TX_INLINE F fma(F a, F b, F c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }       // a b + c
TX_INLINE F minus_fma(F a, F b, F c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; } // c - a b
TX_INLINE F min(F a, F b) { return {_mm512_min_ps(a.v, b.v)}; }                   // b where one is NaN
TX_INLINE F max(F a, F b) { return {_mm512_max_ps(a.v, b.v)}; }
TX_INLINE F round(F a) { return {_mm512_roundscale_ps(a.v, 8)}; } // to even
TX_INLINE F abs(F a) { return {_mm512_abs_ps(a.v)}; }

TX_INLINE M greater(F a, F b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
TX_INLINE M below(int n) { return {n >= 16 ? static_cast<__mmask16>(0xffff) : first(n)}; } // lanes 0 .. n-1
TX_INLINE F choose(M m, F yes, F no) { return {_mm512_mask_blend_ps(m.v, no.v, yes.v)}; }
TX_INLINE bool any(M m) { return m.v != 0; }

TX_INLINE __m512i bits(I a) { return reinterpret_cast<__m512i>(a.v); }
TX_INLINE I ints(__m512i v) { return {reinterpret_cast<Ints>(v)}; }

TX_INLINE I none() { return {Ints{}}; }
TX_INLINE I splat_int(int32_t x) { return {x - Ints{}}; }
TX_INLINE I load_int(const int32_t *p) { return ints(_mm512_loadu_si512(p)); }
TX_INLINE void store_int(int32_t *p, I a) { _mm512_storeu_si512(p, bits(a)); }
TX_INLINE I add_int(I a, I b) { return {a.v + b.v}; }
TX_INLINE I sub_int(I a, I b) { return {a.v - b.v}; }
TX_INLINE I mul_int(I a, I b) { return {a.v * b.v}; }
template <int BITS> TX_INLINE I shift_left(I a) { return {a.v << BITS}; }
TX_INLINE F to_float(I a) { return {_mm512_cvtepi32_ps(bits(a))}; }
TX_INLINE I to_int(F a) { return ints(_mm512_cvtps_epi32(a.v)); } // to even
TX_INLINE F as_float(I a) { return {reinterpret_cast<__m512>(a.v)}; }
TX_INLINE I as_int(F a) { return {reinterpret_cast<Ints>(a.v)}; }
TX_INLINE F with_sign(F size, F sign) {
  const __m512i bit = _mm512_and_si512(_mm512_castps_si512(sign.v), _mm512_set1_epi32(INT32_MIN));
  return {_mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(size.v), bit))};
}
// Whole numbers of 0 .. 255 as bytes.
TX_INLINE void store_bytes(uint8_t *p, F a) {
  _mm_storeu_si128(reinterpret_cast<__m128i *>(p), _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(a.v)));
}

TX_INLINE __m128 halves_add(__m512 v) {
  const __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  return _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
}
TX_INLINE float reduce_add(F a) { // lane i with i + 8, then + 4, + 2, + 1
  __m128 h = halves_add(a.v);
  h = _mm_add_ps(h, _mm_movehl_ps(h, h));
  return _mm_cvtss_f32(_mm_add_ss(h, _mm_shuffle_ps(h, h, 1)));
}
TX_INLINE float reduce_max(F a) { return _mm512_reduce_max_ps(a.v); }
TX_INLINE float reduce_min(F a) { return _mm512_reduce_min_ps(a.v); }

// r[i] lane j becomes r[j] lane i.
TX_INLINE void transpose(F (&r)[16]) {
  __m512 t[16], u[16];
  each<8>([&](auto i) TX_ALWAYS { // pairs of rows, then fours
    t[2 * i] = _mm512_unpacklo_ps(r[2 * i].v, r[2 * i + 1].v);
    t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i].v, r[2 * i + 1].v);
  });
  each<4>([&](auto i) TX_ALWAYS {
    const auto low = [](__m512 a, __m512 b) TX_ALWAYS { return _mm512_shuffle_ps(a, b, 0x44); };
    const auto high = [](__m512 a, __m512 b) TX_ALWAYS { return _mm512_shuffle_ps(a, b, 0xee); };
    u[4 * i] = low(t[4 * i], t[4 * i + 2]);
    u[4 * i + 1] = high(t[4 * i], t[4 * i + 2]);
    u[4 * i + 2] = low(t[4 * i + 1], t[4 * i + 3]);
    u[4 * i + 3] = high(t[4 * i + 1], t[4 * i + 3]);
  });
  each<4>([&](auto c) TX_ALWAYS { // then quarters of a register
    const __m512 a = _mm512_shuffle_f32x4(u[c], u[4 + c], 0x88), b = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0x88);
    const __m512 d = _mm512_shuffle_f32x4(u[c], u[4 + c], 0xdd), e = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0xdd);
    r[c].v = _mm512_shuffle_f32x4(a, b, 0x88);
    r[8 + c].v = _mm512_shuffle_f32x4(a, b, 0xdd);
    r[4 + c].v = _mm512_shuffle_f32x4(d, e, 0x88);
    r[12 + c].v = _mm512_shuffle_f32x4(d, e, 0xdd);
  });
}

// Four bytes of a row, for all columns; sixteen columns of four signed bytes each.
struct Bytes4 {
  __m512i v;
};
struct Weights4 {
  __m512i v;
};
TX_INLINE Bytes4 bytes4(const uint8_t *p) {
  int32_t four;
  std::memcpy(&four, p, 4);
  return {_mm512_set1_epi32(four)};
}
TX_INLINE Weights4 weights4(const int8_t *p) { return {_mm512_loadu_si512(p)}; }
TX_INLINE I dot4(I sum, Bytes4 x, Weights4 w) { return ints(_mm512_dpbusd_epi32(bits(sum), x.v, w.v)); }

// Sums of bytes times signed bytes; they never need to be carried over.
typedef I ByteSum;
constexpr int SUM_STEPS = INT32_MAX;
TX_INLINE I no_sum() { return none(); }
TX_INLINE void keep_sum(int32_t *p, I sum, bool) { store_int(p, sum); }

// Loaded once: gcc would load a column again for each row, where loads are what limits a few rows.
template <class V> TX_INLINE void in_register(V &a) { __asm__("" : "+v"(a.v)); }

// Tiles whose sums fit into the 32 registers: rows, and columns in sixteens.
constexpr int TILE_ROWS = 6;
constexpr int tile_columns(int) { return 4; }
constexpr int ATTEND_ROWS = 8;

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
