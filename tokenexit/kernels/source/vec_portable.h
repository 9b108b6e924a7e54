// Sixteen lanes as plain C++, for any compiler and processor.
#pragma once

namespace tokenexit {
namespace TOKENEXIT_ISA {

#if defined(__GNUC__)
typedef float Floats __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));
#else
struct Floats {
  float lane[16];
  float &operator[](int i) { return lane[i]; }
  float operator[](int i) const { return lane[i]; }
};
struct Ints {
  int32_t lane[16];
  int32_t &operator[](int i) { return lane[i]; }
  int32_t operator[](int i) const { return lane[i]; }
};
#endif

struct F {
  Floats v;
};
struct I {
  Ints v;
};
struct M { // -1 for yes
  Ints v;
};

// EXPRESSION of whole vectors, or of lane i where the compiler has none.
#define TX_LANES for (int i = 0; i < 16; ++i)
#if defined(__GNUC__)
#define TX_EACH(TYPE, WHOLE, LANE)                                                                           \
  return TYPE { WHOLE }
#else
#define TX_EACH(TYPE, WHOLE, LANE)                                                                           \
  TYPE r;                                                                                                    \
  TX_LANES r.v[i] = LANE;                                                                                    \
  return r
#endif

TX_INLINE F splat(float x) { TX_EACH(F, x - Floats{}, x); }
TX_INLINE F zero() { TX_EACH(F, Floats{}, 0.f); }
TX_INLINE F load(const float *p) {
  F r;
  std::memcpy(&r.v, p, sizeof(r.v));
  return r;
}
TX_INLINE F load_n(const float *p, int n) {
  F r = zero();
  for (int i = 0; i < n; ++i) r.v[i] = p[i];
  return r;
}
TX_INLINE void store(float *p, F a) { std::memcpy(p, &a.v, sizeof(a.v)); }
TX_INLINE void store_n(float *p, F a, int n) {
  for (int i = 0; i < n; ++i) p[i] = a.v[i];
}
TX_INLINE F add(F a, F b) { TX_EACH(F, a.v + b.v, a.v[i] + b.v[i]); }
TX_INLINE F sub(F a, F b) { TX_EACH(F, a.v - b.v, a.v[i] - b.v[i]); }
TX_INLINE F mul(F a, F b) { TX_EACH(F, a.v *b.v, a.v[i] * b.v[i]); }
TX_INLINE F div(F a, F b) { TX_EACH(F, a.v / b.v, a.v[i] / b.v[i]); }
TX_INLINE F fma(F a, F b, F c) { return add(mul(a, b), c); }
TX_INLINE F minus_fma(F a, F b, F c) { return sub(c, mul(a, b)); }
TX_INLINE F min(F a, F b) { TX_EACH(F, a.v < b.v ? a.v : b.v, a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }
TX_INLINE F max(F a, F b) { TX_EACH(F, a.v > b.v ? a.v : b.v, a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
TX_INLINE F round(F a) { // to even; right below 2^22 in size
  const F magic = splat(12582912.f);
  return sub(add(a, magic), magic);
}

TX_INLINE I as_int(F a) {
  I r;
  std::memcpy(&r.v, &a.v, sizeof(r.v));
  return r;
}
TX_INLINE F as_float(I a) {
  F r;
  std::memcpy(&r.v, &a.v, sizeof(r.v));
  return r;
}
TX_INLINE I and_int(I a, I b) { TX_EACH(I, a.v & b.v, a.v[i] & b.v[i]); }
TX_INLINE I or_int(I a, I b) { TX_EACH(I, a.v | b.v, a.v[i] | b.v[i]); }
TX_INLINE I splat_int(int32_t x) { TX_EACH(I, x - Ints{}, x); }
TX_INLINE I none() { TX_EACH(I, Ints{}, 0); }
TX_INLINE F abs(F a) { return as_float(and_int(as_int(a), splat_int(INT32_MAX))); }
TX_INLINE F with_sign(F size, F sign) {
  return as_float(or_int(as_int(size), and_int(as_int(sign), splat_int(INT32_MIN))));
}

TX_INLINE M greater(F a, F b) { TX_EACH(M, a.v > b.v, a.v[i] > b.v[i] ? -1 : 0); }
TX_INLINE I lane_numbers() {
  I r;
  TX_LANES r.v[i] = i;
  return r;
}
TX_INLINE M below(int n) { TX_EACH(M, lane_numbers().v < n, i < n ? -1 : 0); }
TX_INLINE F choose(M m, F yes, F no) { TX_EACH(F, m.v ? yes.v : no.v, m.v[i] ? yes.v[i] : no.v[i]); }
TX_INLINE bool any(M m) {
  int32_t r = 0;
  TX_LANES r |= m.v[i];
  return r != 0;
}

TX_INLINE I load_int(const int32_t *p) {
  I r;
  std::memcpy(&r.v, p, sizeof(r.v));
  return r;
}
TX_INLINE void store_int(int32_t *p, I a) { std::memcpy(p, &a.v, sizeof(a.v)); }
TX_INLINE I add_int(I a, I b) { TX_EACH(I, a.v + b.v, a.v[i] + b.v[i]); }
TX_INLINE I sub_int(I a, I b) { TX_EACH(I, a.v - b.v, a.v[i] - b.v[i]); }
TX_INLINE I mul_int(I a, I b) { TX_EACH(I, a.v *b.v, a.v[i] * b.v[i]); }
template <int BITS> TX_INLINE I shift_left(I a) {
  TX_EACH(I, a.v << BITS, static_cast<int32_t>(static_cast<uint32_t>(a.v[i]) << BITS));
}
TX_INLINE F to_float(I a) { TX_EACH(F, __builtin_convertvector(a.v, Floats), static_cast<float>(a.v[i])); }
TX_INLINE I cut_off(F a) { TX_EACH(I, __builtin_convertvector(a.v, Ints), static_cast<int32_t>(a.v[i])); }
TX_INLINE I to_int(F a) { return cut_off(round(a)); } // to even; right below 2^22 in size
TX_INLINE F load_bf16(const uint16_t *p) {
  I r;
  TX_LANES r.v[i] = p[i];
  return as_float(shift_left<16>(r));
}
// Whole numbers of 0 .. 255 as bytes.
TX_INLINE void store_bytes(uint8_t *p, F a) { TX_LANES p[i] = static_cast<uint8_t>(static_cast<int32_t>(a.v[i])); }

TX_INLINE float reduce_add(F a) { // lane i with i + 8, then + 4, + 2, + 1
  for (int half = 8; half; half /= 2)
    for (int i = 0; i < half; ++i) a.v[i] += a.v[i + half];
  return a.v[0];
}
TX_INLINE float reduce_max(F a) {
  float r = a.v[0];
  TX_LANES r = a.v[i] > r ? a.v[i] : r;
  return r;
}
TX_INLINE float reduce_min(F a) {
  float r = a.v[0];
  TX_LANES r = a.v[i] < r ? a.v[i] : r;
  return r;
}

// r[i] lane j becomes r[j] lane i.
TX_INLINE void transpose(F (&r)[16]) {
  float lanes[16][16];
  std::memcpy(lanes, r, sizeof(lanes));
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) r[i].v[j] = lanes[j][i];
}

// Four bytes of a row, for all columns; sixteen columns of four signed bytes each. As floats, which
// most compilers turn into good code. Sums of 1,024 products of q - 128 with w are below 2^24: exact.
#define TOKENEXIT_CENTRED_BYTES
constexpr int SUM_STEPS = 256;
typedef F ByteSum;
struct Bytes4 {
  float v[4];
};
struct Weights4 {
  F v[4];
};
TX_INLINE Bytes4 bytes4(const uint8_t *p) {
  Bytes4 r;
  for (int k = 0; k < 4; ++k) r.v[k] = static_cast<float>(p[k] - 128);
  return r;
}
template <int BITS> TX_INLINE F byte_at(I four) { // the byte above so many bits
  const I high = shift_left<24 - BITS>(four);
  TX_EACH(F, __builtin_convertvector(high.v >> 24, Floats), static_cast<float>(high.v[i] >> 24));
}
TX_INLINE Weights4 weights4(const int8_t *p) {
  I four;
  std::memcpy(&four.v, p, sizeof(four.v));
  return {{byte_at<0>(four), byte_at<8>(four), byte_at<16>(four), byte_at<24>(four)}};
}
TX_INLINE F dot4(F sum, Bytes4 x, Weights4 w) {
  for (int k = 0; k < 4; ++k) sum = fma(splat(x.v[k]), w.v[k], sum);
  return sum;
}
TX_INLINE F no_sum() { return zero(); }
TX_INLINE void keep_sum(int32_t *p, F sum, bool first) {
  const I whole = cut_off(sum);
  store_int(p, first ? whole : add_int(load_int(p), whole));
}

#if defined(__x86_64__) || defined(_M_X64)
constexpr int TILE_ROWS = 2;
#else
constexpr int TILE_ROWS = 4;
#endif
template <class V> TX_INLINE void in_register(V &) {} // there are too few
constexpr int tile_columns(int) { return 1; }
constexpr int ATTEND_ROWS = 4;

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
