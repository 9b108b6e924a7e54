// The rows of a batch that are still in the network: some active, some only read. They lie sequence
// after sequence, and so do the words that have not left; both close up when others leave.
#pragma once
#include "encoder.h"
#include "vec.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

// Bytes that a batch takes, the struct included.
inline size_t live_bytes(const Texts &texts, int width) {
  const size_t S = texts.size, T = texts.row_start[S] - texts.row_start[0];
  const size_t W = texts.word_start[S] - texts.word_start[0];
  return sizeof(Live) + 64 * 16 + 4 * (3 * (S + 1) + 3 * T + 3 * W) + T + 4 * T * width;
}

// Lays the arrays into a block of so many bytes.
inline Live *lay_out(void *block, const Texts &texts, int width, int drop) {
  const size_t S = texts.size, T = texts.row_start[S] - texts.row_start[0];
  const size_t W = texts.word_start[S] - texts.word_start[0];
  char *free = static_cast<char *>(block);
  const auto take = [&free](size_t bytes) {
    free += (64 - reinterpret_cast<size_t>(free) % 64) % 64;
    char *p = free;
    free += bytes;
    return p;
  };
  const auto ints = [&take](size_t n) { return reinterpret_cast<int32_t *>(take(4 * n)); };
  Live *live = reinterpret_cast<Live *>(take(sizeof(Live)));
  *live = {0, 0, 0, 0, width, drop, ints(S + 1), ints(S + 1), ints(S + 1), ints(T), ints(T), ints(T),
           nullptr, ints(W), ints(W), ints(W), nullptr};
  live->on = reinterpret_cast<uint8_t *>(take(T));
  live->hidden = reinterpret_cast<float *>(take(4 * T * width));
  return live;
}

// Notes which rows are active.
inline void list_active(Live &live) {
  int found = 0;
  for (int s = 0; s < live.size; ++s) {
    live.active_start[s] = found;
    for (int t = live.row_start[s]; t < live.row_start[s + 1]; ++t)
      if (live.on[t]) live.asking[found++] = t;
  }
  live.active_start[live.size] = live.active = found;
}

// Everybody enters, but sequences without a word. The states are still to come.
inline void enter(Live &live, const Texts &texts) {
  int size = 0, rows = 0, words = 0;
  live.row_start[0] = live.word_start[0] = 0;
  for (int s = 0; s < texts.size; ++s) {
    const int row = texts.row_start[s], end = texts.row_start[s + 1];
    const int word = texts.word_start[s], last = texts.word_start[s + 1];
    if (word == last) continue;
    for (int t = row; t < end; ++t) {
      const int of = texts.row_word[t];
      live.row_word[rows + t - row] = of < 0 ? -1 : words + of;
      live.place[rows + t - row] = t - row;
    }
    for (int w = word; w < last; ++w, ++words) {
      live.word[words] = w - texts.word_start[0];
      live.first[words] = rows + texts.first[w];
      live.spot[words] = w - word;
    }
    rows += end - row;
    live.row_start[++size] = rows;
    live.word_start[size] = words;
  }
  live.size = size, live.rows = rows, live.words = words;
  std::memset(live.on, 1, rows);
  list_active(live);
}

// Before the top layer: nobody reads other rows above it.
inline void only_first_rows(Live &live) {
  std::memset(live.on, 0, live.rows);
  for (int w = 0; w < live.words; ++w) live.on[live.first[w]] = 1;
  list_active(live);
}

// Words halt, gone [W]. Sequences without a word left leave, and their rows with them. Fills `to`
// [W] with the new number of each word, -1 of those that left.
inline void retire(Live &live, const uint8_t *gone, int32_t *to) {
  const size_t width = live.width;
  int size = 0, rows = 0, words = 0;
  int row = 0, word = 0; // where the next sequence begins; its entry may have been written over
  for (int s = 0; s < live.size; ++s) {
    const int end = live.row_start[s + 1], last = live.word_start[s + 1], before = words;
    for (int w = word; w < last; ++w) {
      to[w] = gone[w] ? -1 : words;
      if (gone[w]) continue;
      live.word[words] = live.word[w], live.spot[words] = live.spot[w];
      live.first[words++] = live.first[w];
    }
    if (words > before) {
      for (int t = row; t < end; ++t) {
        const int old = live.row_word[t], now = old < 0 ? -1 : to[old];
        const bool on = live.on[t] && (old < 0 || now >= 0);
        if (live.drop && !on) continue;
        if (now >= 0 && live.first[now] == t) live.first[now] = ~rows; // negative: done
        live.on[rows] = on, live.place[rows] = live.place[t], live.row_word[rows] = now;
        if (rows != t)
          std::memcpy(live.hidden + rows * width, live.hidden + t * width, sizeof(float) * width);
        ++rows;
      }
      for (int w = before; w < words; ++w) live.first[w] = ~live.first[w];
      live.row_start[++size] = rows, live.word_start[size] = words;
    }
    row = end, word = last;
  }
  live.size = size, live.rows = rows, live.words = words;
  list_active(live);
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
