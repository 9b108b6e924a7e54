// Shortlists: the first exit that is asked scores the whole vocabulary and keeps each row's best
// words; later exits score those alone. policies/shortlist.py says what that is for.
#pragma once
#include "decode_types.h"
#include "decoder_head.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

// The lists of a step, by sequence. A list's columns of the head are laid out once, as a small
// matrix that later exits multiply with.
struct Lists {
  int size;             // K; 0 where there are none
  int32_t *word;        // [R, K]
  Matrix *columns;      // [R]: [K, H] each; N is 0 until they are laid out
  char *weight;         // [R, bytes]
  float *scale, *bias;  // [R, K]
  int32_t *sum;         // [R, K]
  size_t bytes;
};

// Values that lie together in a column, in bytes, and how often such a group follows another.
inline size_t group_bytes(const Matrix &w) { return w.kind == BF16 ? 2 : 4; }
inline int groups(const Matrix &w) { return w.kind == INT8 ? round_up(w.K, 4) / 4 : w.K; }

inline Lists make_lists(Scratch &scratch, const DecoderModel &m, int shortlist, int R) {
  Lists lists = {};
  if (!shortlist) return lists;
  lists.size = smaller(shortlist, m.vocabulary);
  lists.bytes = static_cast<size_t>(round_up(lists.size, PANEL)) * at(groups(*m.head), group_bytes(*m.head));
  const size_t entries = at(R, static_cast<size_t>(lists.size));
  lists.word = scratch.take<int32_t>(entries);
  lists.columns = scratch.take<Matrix>(static_cast<size_t>(R));
  lists.weight = scratch.take<char>(at(R, lists.bytes));
  lists.scale = scratch.floats(entries);
  lists.bias = scratch.floats(entries);
  lists.sum = scratch.take<int32_t>(entries);
  for (int r = 0; r < R; ++r) lists.columns[r].N = 0;
  return lists;
}

struct Entry {
  float value;
  int32_t word;
};

TX_INLINE bool worse(const Entry &a, const Entry &b) {
  return a.value < b.value || (a.value == b.value && a.word > b.word);
}

// Puts heap[i] where it belongs: the worst of a heap [n] comes first.
inline void sink(Entry *heap, int n, int i) {
  const Entry moved = heap[i];
  for (int child; (child = 2 * i + 1) < n; i = child) {
    if (child + 1 < n && worse(heap[child + 1], heap[child])) ++child;
    if (!worse(heap[child], moved)) break;
    heap[i] = heap[child];
  }
  heap[i] = moved;
}

// The K best of x [n], best first and of equal ones the first. K <= n.
inline void best_words(const float *x, int n, int K, Entry *best) {
  for (int k = 0; k < K; ++k) best[k] = {x[k], k};
  for (int i = K / 2 - 1; i >= 0; --i) sink(best, K, i);
  for (int k = K; k < n; k += LANES) {
    const int left = smaller(n - k, LANES);
    if (left == LANES && !any(greater(load(x + k), splat(best->value)))) continue;
    for (int i = k; i < k + left; ++i) {
      if (!(x[i] > best->value)) continue;
      *best = {x[i], i};
      sink(best, K, 0);
    }
  }
  for (int count = K - 1; count > 0; --count) { // the worst to the end
    const Entry last = best[count];
    best[count] = *best;
    *best = last;
    sink(best, count, 0);
  }
}

// Keeps a row's best words; logits [V], of which whole is the best. What they make of themselves.
inline Best keep_list(const Lists &lists, int row, const float *logits, int V, const Best &whole) {
  Scratch scratch;
  const size_t K = static_cast<size_t>(lists.size);
  Entry *found = scratch.take<Entry>(K);
  best_words(logits, V, lists.size, found);
  float *value = scratch.floats(K);
  for (size_t i = 0; i < K; ++i) {
    value[i] = found[i].value;
    lists.word[at(row, K) + i] = found[i].word;
  }
  Best best = best_of_part(value, 0, lists.size, nullptr, 0);
  best.weighted += 0.f * whole.weighted; // NaN stays
  return best;
}

// Columns of the vocabulary as a matrix of their own.
inline const Matrix &columns_for(const Lists &lists, const Matrix &head, int row) {
  Matrix &made = lists.columns[row];
  if (made.N) return made;
  const size_t first = at(row, static_cast<size_t>(lists.size)), size = group_bytes(head), pitch = PANEL * size;
  const int32_t *word = lists.word + first;
  char *weight = lists.weight + at(row, lists.bytes);
  const int deep = groups(head);
  for (int i = 0; i < round_up(lists.size, PANEL); ++i) { // behind the end the last again
    const int from = word[smaller(i, lists.size - 1)];
    const char *x = static_cast<const char *>(head.w) + at(from / PANEL * deep, pitch) + at(from % PANEL, size);
    char *y = weight + at(i / PANEL * deep, pitch) + at(i % PANEL, size);
    for (int k = 0; k < deep; ++k, x += pitch, y += pitch) {
      if (size == 2) std::memcpy(y, x, 2);
      else std::memcpy(y, x, 4);
    }
  }
  for (int i = 0; i < lists.size; ++i) {
    lists.bias[first + static_cast<size_t>(i)] = head.bias[word[i]];
    if (head.kind != INT8) continue;
    lists.scale[first + static_cast<size_t>(i)] = head.scale[word[i]];
    lists.sum[first + static_cast<size_t>(i)] = head.sum[word[i]];
  }
  made = head;
  made.w = weight;
  made.N = lists.size;
  made.bias = lists.bias + first;
  if (head.kind == INT8) made.scale = lists.scale + first, made.sum = lists.sum + first;
  return made;
}

// States x [n, H] of rows to the best of their lists; each score is that of the whole product.
inline void score_lists(const DecoderModel &m, const Lists &lists, const float *x, const int32_t *row, int n,
                        Best *best) {
  Scratch scratch;
  const size_t K = static_cast<size_t>(lists.size);
  float *finished = scratch.floats(at(n, m.hidden)), *scores = scratch.floats(at(n, K));
  finish_rows(m, x, n, finished);
  const Input in = input_of(scratch, m.head->kind, finished, m.hidden, n, m.hidden);
  parallel_for(n, [&](int i) {
    const Matrix &columns = columns_for(lists, *m.head, row[i]);
    block_of_kind(columns, in, i, i + 1, 0, round_up(lists.size, PANEL) / PANEL, {}, scores, K);
    best[i] = best_of_part(scores + at(i, K), 0, lists.size, nullptr, 0);
  });
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
