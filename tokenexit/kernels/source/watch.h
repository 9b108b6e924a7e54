// Whether numbers are what they were: some are read at each call, all of them in the end.
#pragma once
#include "table.h"
#include "vec.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

constexpr int AT_ONCE = 16; // words of a digest that do not wait for one another

constexpr int AHEAD = 3;       // tensors that are fetched meanwhile
constexpr int64_t MOST = 2048; // bytes of each; the processor fetches the rest

// Bits of n numbers as one. Another single number always gives another.
inline uint64_t digest(const uint32_t *x, int64_t n) {
  uint32_t lane[AT_ONCE] = {};
  int64_t i = 0;
  for (; i + AT_ONCE <= n; i += AT_ONCE)
    for (int j = 0; j < AT_ONCE; ++j) lane[j] = (lane[j] << 5 | lane[j] >> 27) + x[i + j];
  for (int j = 0; i < n; ++i, ++j) lane[j] = (lane[j] << 5 | lane[j] >> 27) + x[i];
  uint64_t whole = 0;
  for (int j = 0; j < AT_ONCE; ++j) whole = (whole ^ lane[j]) * 0x9e3779b97f4a7c15u;
  return whole;
}

inline uint64_t digest_row(const Watched &of, int64_t row) { return digest(of.numbers + row * of.width, of.width); }

// Memory that is read soon: weights have usually left the nearer caches since the last call.
inline void fetch(const void *from, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 64) TX_PREFETCH(static_cast<const char *>(from) + i);
}

// Fills `seen` and `column` of n tensors.
static void watch_begin(Watched *all, int32_t n) {
  for (int i = 0; i < n; ++i)
    for (int64_t row = 0; row < all[i].rows; ++row) {
      all[i].seen[row] = digest_row(all[i], row);
      all[i].column[row] = all[i].numbers[row * all[i].width];
    }
}

// A number of each row, which all of a row's channel change together.
inline bool same_column(const Watched &of) {
  uint32_t other = 0;
  for (int64_t row = 0; row < of.rows; ++row) other |= of.numbers[row * of.width] ^ of.column[row];
  return other == 0;
}

// Whether n tensors are as they were: a row of each, another at each turn, a number of each row of
// one of them, and `count` rows from `from`, counted through all tensors and round again.
static int32_t watch_look(const Watched *all, int32_t n, int64_t turn, int64_t from, int64_t count) {
  const auto row_of = [&](int i) { return (turn + i) % all[i].rows; };
  for (int i = 0; i < n; ++i) {
    if (i + AHEAD < n) {
      const Watched &later = all[i + AHEAD];
      const int64_t row = row_of(i + AHEAD);
      fetch(later.numbers + row * later.width, later.width * 4 < MOST ? later.width * 4 : MOST);
      fetch(later.seen + row, 1);
    }
    const int64_t row = row_of(i);
    if (digest_row(all[i], row) != all[i].seen[row]) return 0;
  }
  if (n && !same_column(all[turn % n])) return 0;
  for (int i = 0; count > 0; i = (i + 1) % n) {
    for (; from < all[i].rows && count > 0; ++from, --count)
      if (digest_row(all[i], from) != all[i].seen[from]) return 0;
    from = from < all[i].rows ? from : from - all[i].rows;
  }
  return 1;
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
