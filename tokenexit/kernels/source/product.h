// Rows times a matrix. A tile of rows and columns keeps its sums in registers all along K; each sum
// adds up in the order of K, whatever the tile, so a row never depends on its neighbours.
#pragma once
#include "finish.h"
#include "scratch.h"
#include "threads.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

constexpr int PANEL = 64; // columns that lie together

// What a tile needs to know of a kind of weights: STEP of K at a time.
struct Int8 {
  typedef Int8Columns Columns;
  typedef ByteSum Sum;
  typedef int32_t Lane;
  typedef int8_t Weight;
  static constexpr bool WIDENS = false;
  static constexpr int STEP = 4, ROWS = TILE_ROWS, LONGEST = SUM_STEPS;
  static const uint8_t *row(const Input &in, int r) { return in.q + at(r, in.width); }
  static size_t stride(const Input &in) { return in.width; }
  TX_INLINE Weights4 column(const int8_t *w) { return weights4(w); }
  TX_INLINE Bytes4 spread(const uint8_t *x) { return bytes4(x); }
  TX_INLINE ByteSum dot(ByteSum sum, Bytes4 x, Weights4 w) { return dot4(sum, x, w); }
  TX_INLINE ByteSum start() { return no_sum(); }
  TX_INLINE void keep(int32_t *p, ByteSum sum, bool first) { keep_sum(p, sum, first); }
};

struct Floating {
  static constexpr bool WIDENS = false;
  typedef FloatColumns Columns;
  typedef F Sum;
  typedef float Lane;
  static constexpr int STEP = 1, ROWS = TILE_ROWS, LONGEST = INT32_MAX;
  static const float *row(const Input &in, int r) { return in.rows + at(r, in.stride); }
  static size_t stride(const Input &in) { return in.stride; }
  TX_INLINE F spread(const float *x) { return splat(*x); }
  TX_INLINE F dot(F sum, F x, F w) { return fma(x, w, sum); }
  TX_INLINE F start() { return zero(); }
  TX_INLINE void keep(float *p, F sum, bool) { store(p, sum); }
};

struct Fp32 : Floating {
  typedef float Weight;
  TX_INLINE F column(const float *w) { return load(w); }
};

struct Bf16 : Floating {
  static constexpr bool WIDENS = true;
  typedef uint16_t Weight;
  TX_INLINE F column(const uint16_t *w) { return load_bf16(w); }
};

// R rows of x, 16 C columns of a panel. Fetches ahead of matrices that come from far.
template <class K, int R, int C, class X>
static void tile(const Matrix &w, const Input &in, Place place, const X *x, size_t x_stride,
                 const typename K::Weight *panel, const Then &then, float *y, size_t stride) {
  constexpr size_t PITCH = PANEL * K::STEP;
  alignas(64) typename K::Lane kept[R * C * LANES];
  const int steps = (w.K + K::STEP - 1) / K::STEP;
  for (int from = 0; from < steps;) {
    const int to = steps - from > K::LONGEST ? from + K::LONGEST : steps;
    typename K::Sum sums[R][C];
    each<R>([&](auto r) TX_ALWAYS { each<C>([&](auto c) TX_ALWAYS { sums[r][c] = K::start(); }); });
    for (int s = from; s < to; ++s, panel += PITCH, x += K::STEP) {
      const char *next = reinterpret_cast<const char *>(panel) + 4096;
      each<C>([&](auto c) TX_ALWAYS { TX_PREFETCH(next + c * LANES * K::STEP * sizeof(*panel)); });
      decltype(K::column(panel)) columns[C];
      each<C>([&](auto c) TX_ALWAYS {
        columns[c] = K::column(panel + c * LANES * K::STEP);
        in_register(columns[c]);
      });
      each<R>([&](auto r) TX_ALWAYS {
        const auto spread = K::spread(x + at(r, x_stride));
        each<C>([&](auto c) TX_ALWAYS { sums[r][c] = K::dot(sums[r][c], spread, columns[c]); });
      });
    }
    each<R>([&](auto r) TX_ALWAYS {
      each<C>([&](auto c) TX_ALWAYS { K::keep(kept + (r * C + c) * LANES, sums[r][c], from == 0); });
    });
    from = to;
  }
  finish<typename K::Columns>(w, in, place, R, C, kept, then, y, stride);
}

template <class K, int R>
static void strip(const Matrix &w, const Input &in, Place place, const typename K::Weight *panel, const Then &then,
                  float *y, size_t stride) {
  constexpr int C = tile_columns(R);
  for (int c = 0; c < PANEL && place.column + c < w.N; c += C * LANES)
    tile<K, R, C>(w, in, {place.row, place.column + c}, K::row(in, place.row), K::stride(in),
                         panel + c * K::STEP, then, y, stride);
}

// The first of so many rows and a panel; returns how many it took: as many at a time as leave no
// small remainder, which would take as long.
template <class K>
static int some_rows(const Matrix &w, const Input &in, Place place, int rows, const typename K::Weight *panel,
                     const Then &then, float *y, size_t stride) {
  const int times = (rows + K::ROWS - 1) / K::ROWS, now = (rows + times - 1) / times;
#define TX_ROWS(R)                                                                                           \
  case R: strip<K, R <= K::ROWS ? R : 1>(w, in, place, panel, then, y, stride); break;
  switch (now) {
    TX_ROWS(1)
    TX_ROWS(2)
    TX_ROWS(3)
    TX_ROWS(4)
    TX_ROWS(5)
    TX_ROWS(6)
  }
#undef TX_ROWS
  return now;
}

// Rows [from, to) and a panel.
template <class K>
static void all_rows(const Matrix &w, const Input &in, int from, int to, int p, const typename K::Weight *panel,
                     const Then &then, float *y, size_t stride) {
  while (from < to) from += some_rows<K>(w, in, {from, p * PANEL}, to - from, panel, then, y, stride);
}

// So many rows make it worth it to turn a panel of bfloat16 into floats once, if it stays in the second
// cache: what is computed with them is the same.
constexpr int WORTH_WIDENING = 3 * TILE_ROWS;
constexpr size_t WIDEST = 1 << 17;

TX_INLINE float *widen(const uint16_t *panel, size_t size, float *wide) {
  for (size_t i = 0; i < size; i += LANES) store(wide + i, load_bf16(panel + i));
  return wide;
}

// Rows [r0, r1) and panels [p0, p1).
template <class K>
static void block(const Matrix &w, const Input &in, int r0, int r1, int p0, int p1, const Then &then, float *y,
                  size_t stride) {
  const int depth = round_up(w.K, K::STEP);
  const size_t panel_size = static_cast<size_t>(depth) * PANEL;
  const int chunk = larger(K::ROWS, (1 << 19) / larger(depth * (K::STEP == 1 ? 4 : 1), 1) / K::ROWS * K::ROWS);
  for (int from = r0; from < r1; from += chunk) { // rows that stay in the second cache
    const int to = smaller(r1, from + chunk);
    for (int p = p0; p < p1; ++p) {
      const auto *panel = static_cast<const typename K::Weight *>(w.w) + static_cast<size_t>(p) * panel_size;
      if constexpr (K::WIDENS) {
        if (to - from >= WORTH_WIDENING && panel_size <= WIDEST) {
          Scratch scratch;
          all_rows<Fp32>(w, in, from, to, p, widen(panel, panel_size, scratch.floats(panel_size)), then, y, stride);
          continue;
        }
      }
      all_rows<K>(w, in, from, to, p, panel, then, y, stride);
    }
  }
}

inline void block_of_kind(const Matrix &w, const Input &in, int r0, int r1, int p0, int p1, const Then &then, float *y,
                          size_t stride) {
  switch (w.kind) {
  case INT8: return block<Int8>(w, in, r0, r1, p0, p1, then, y, stride);
  case FP32: return block<Fp32>(w, in, r0, r1, p0, p1, then, y, stride);
  case BF16: return block<Bf16>(w, in, r0, r1, p0, p1, then, y, stride);
  default: return;
  }
}

constexpr double WORTH_A_THREAD = 3e5; // multiplications

// y [rows, N] = then(x W^T + b), rows of y stride apart. Split between threads, by columns where
// rows are few, unless the caller has split the work already.
inline void product(const Matrix &w, const Input &in, float *y, size_t stride, const Then &then = {}) {
  const int panels = (w.N + PANEL - 1) / PANEL, rows = in.count;
  const double work = static_cast<double>(rows) * w.K * w.N;
  const int pieces = smaller(threads(), 1 + static_cast<int>(work / WORTH_A_THREAD));
  if (pieces <= 1) return block_of_kind(w, in, 0, rows, 0, panels, then, y, stride);
  const bool by_rows = rows >= 16 * pieces || panels < pieces;
  const int units = by_rows ? (rows + TILE_ROWS - 1) / TILE_ROWS : panels;
  parallel_for(pieces, [&](int i) {
    const int from = static_cast<int>(static_cast<int64_t>(units) * i / pieces);
    const int to = static_cast<int>(static_cast<int64_t>(units) * (i + 1) / pieces);
    if (by_rows)
      block_of_kind(w, in, from * TILE_ROWS, smaller(rows, to * TILE_ROWS), 0, panels, then, y, stride);
    else block_of_kind(w, in, 0, rows, from, to, then, y, stride);
  });
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
