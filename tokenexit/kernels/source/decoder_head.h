// The vocabulary: finished rows are scored part by part, and of each part is kept what decisions and
// the next word need. Logits are written only where somebody wants them.
#pragma once
#include "decoder_layer.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

constexpr int PART = 1024; // entries of the vocabulary scored at a time; a multiple of PANEL
constexpr int HEAD_ROWS = 48; // rows at a time

// A row's best words. Sums are over all words; of e^(x - top), and of that times x - top; nothing
// where only the next word is wanted.
struct Best {
  float top, second, sum, weighted;
  int32_t word;
  float allowed; // the best of the words that may be written
  int32_t next;
};

inline float margin_of(const Best &b) { return (1.f - std::exp(b.second - b.top)) / b.sum; }

inline float entropy_of(const Best &b, int vocabulary) {
  if (vocabulary < 2) return 0.f;
  return (std::log(b.sum) - b.weighted / b.sum) / std::log(static_cast<float>(vocabulary));
}

// The highest of x [n] and its first place; and the second highest, if somebody asks.
inline void two_highest(const float *x, int n, float *top, int32_t *where, float *second) {
  F high = splat(-FLT_MAX), next = high, place = zero(), found = zero();
  const F step = splat(static_cast<float>(LANES));
  for (int k = 0; k < n; k += LANES, found = add(found, step)) {
    F v = load_to(x + k, n - k);
    if (n - k < LANES) v = choose(below(n - k), v, splat(-FLT_MAX));
    const M higher = greater(v, high);
    next = max(next, choose(higher, high, v));
    place = choose(higher, found, place);
    high = choose(higher, v, high);
  }
  float lane[LANES], lower[LANES], block[LANES];
  store(lane, high);
  store(lower, next);
  store(block, place);
  *top = *second = -FLT_MAX;
  *where = 0;
  for (int i = 0; i < LANES; ++i) {
    const int32_t here = static_cast<int32_t>(block[i]) + i; // block: first place of its sixteen
    if (lane[i] > *top || (lane[i] == *top && here < *where)) {
      *second = larger(*second, *top);
      *top = lane[i];
      *where = here;
    } else *second = larger(*second, lane[i]);
    *second = larger(*second, lower[i]);
  }
}

// The same of one part, entries from .. from + n of the vocabulary; x is left with banned words out.
inline Best best_of_part(float *x, int from, int n, const int32_t *banned, int num_banned, bool sums = true) {
  Best b;
  two_highest(x, n, &b.top, &b.word, &b.second);
  const F top = splat(b.top);
  F sum = zero(), weighted = zero();
  for (int k = 0; sums && k < n; k += LANES) {
    const F off = sub(load_to(x + k, n - k), top);
    F e = exp(off);
    if (n - k < LANES) e = choose(below(n - k), e, zero());
    sum = add(sum, e);
    weighted = fma(e, max(splat(-100.f), off), weighted); // NaN stays
  }
  b.sum = reduce_add(sum);
  b.weighted = reduce_add(weighted);
  b.allowed = b.top;
  b.next = b.word;
  bool again = false;
  for (int i = 0; i < num_banned; ++i) {
    const int word = banned[i] - from;
    if (word < 0 || word >= n) continue;
    x[word] = -FLT_MAX;
    again = again || word == b.word;
  }
  float second;
  if (again) two_highest(x, n, &b.allowed, &b.next, &second);
  b.word += from;
  b.next += from;
  return b;
}

// Two parts as one, the earlier first.
inline Best joined(const Best &a, const Best &b) {
  const bool later = b.top > a.top;
  const Best &high = later ? b : a, &low = later ? a : b;
  Best c = high;
  c.second = larger(low.top, high.second);
  const float off = low.top - high.top, share = std::exp(off);
  c.sum = high.sum + share * low.sum;
  if (share > 0.f) c.weighted = high.weighted + share * (low.weighted + off * low.sum);
  else c.weighted += 0.f * low.weighted; // NaN stays
  const bool next = b.allowed > a.allowed;
  c.allowed = next ? b.allowed : a.allowed;
  c.next = next ? b.next : a.next;
  return c;
}

// Columns of a matrix from one on, a multiple of PANEL, as a matrix.
inline Matrix columns_of(const Matrix &w, int from, int count) {
  Matrix part = w;
  part.N = count;
  const size_t bytes = w.kind == INT8 ? 1 : w.kind == BF16 ? 2 : 4;
  const size_t depth = static_cast<size_t>(w.kind == INT8 ? round_up(w.K, 4) : w.K);
  part.w = static_cast<const char *>(w.w) + static_cast<size_t>(from) * depth * bytes;
  if (w.scale) part.scale = w.scale + from;
  if (w.sum) part.sum = w.sum + from;
  part.bias = w.bias + from;
  return part;
}

// Rows as the vocabulary reads them: final norm and scale. y [n, H]
inline void finish_rows(const DecoderModel &m, const float *x, int n, float *y) {
  decoder_norm(m.final_norm, x, n, m.hidden, y);
  if (m.final_scale == 1.f) return;
  const F scale = splat(m.final_scale);
  for (int i = 0; i < n; ++i)
    for (int k = 0; k < m.hidden; k += LANES) {
      float *p = y + at(i, m.hidden) + k;
      store_to(p, mul(load_to(p, m.hidden - k), scale), m.hidden - k);
    }
}

// Rows [0, n), at most HEAD_ROWS; logits: where each row's go, or null.
inline void score_some(const DecoderModel &m, const float *finished, int n, float *const *logits,
                       const int32_t *banned, int num_banned, bool sums, Best *best) {
  const Matrix &w = *m.head;
  const int parts = (w.N + PART - 1) / PART;
  Scratch scratch;
  const Input in = input_of(scratch, w.kind, finished, m.hidden, n, m.hidden);
  Best *found = scratch.take<Best>(at(parts, n));
  parallel_for(parts, [&](int p) {
    const int from = p * PART, count = smaller(PART, w.N - from);
    Scratch mine;
    float *x = mine.floats(at(n, PART));
    const Matrix part = columns_of(w, from, count);
    block_of_kind(part, in, 0, n, 0, (count + PANEL - 1) / PANEL, {}, x, PART);
    for (int i = 0; i < n; ++i) {
      if (logits) std::memcpy(logits[i] + from, x + at(i, PART), sizeof(float) * count);
      found[at(p, n) + i] = best_of_part(x + at(i, PART), from, count, banned, num_banned, sums);
    }
  });
  for (int i = 0; i < n; ++i) {
    best[i] = found[i];
    for (int p = 1; p < parts; ++p) best[i] = joined(best[i], found[at(p, n) + i]);
  }
}

// States [n, H] to their best words; sums: as Best has them.
inline void score_rows(const DecoderModel &m, const float *x, int n, float *const *logits, const int32_t *banned,
                       int num_banned, bool sums, Best *best) {
  Scratch scratch;
  float *finished = scratch.floats(at(n, m.hidden));
  finish_rows(m, x, n, finished);
  for (int i = 0; i < n; i += HEAD_ROWS)
    score_some(m, finished + at(i, m.hidden), smaller(HEAD_ROWS, n - i), logits ? logits + i : nullptr, banned,
               num_banned, sums, best + i);
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
