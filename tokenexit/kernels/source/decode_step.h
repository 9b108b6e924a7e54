// A step of decoding: the newest token of some sequences goes up the layers, leaves where the rule
// lets it, and the next is scored. Nothing in here asks Python.
#pragma once
#include "decode_rule.h"
#include "decoder_source.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

// The tokens that are on their way up together, and which of them are the newest.
struct Climbers {
  int32_t *row, *place; // [n]
  float *x;             // [n, H]
  int32_t *newest;      // [N]: the last token of each sequence
  int n, N;
  Tokens tokens() const { return {row, place, n}; }
  void find_newest() {
    N = 0;
    for (int i = 0; i < n; ++i)
      if (i + 1 == n || row[i + 1] != row[i]) newest[N++] = i;
  }
};

inline void embed(const DecoderModel &m, int64_t word, int place, float *x) {
  const float *w = m.words + static_cast<size_t>(word) * m.hidden;
  const F scale = splat(m.word_scale);
  for (int k = 0; k < m.hidden; k += LANES) {
    const int left = m.hidden - k;
    F v = load_to(w + k, left);
    v = m.places ? fma(v, scale, load_to(m.places + at(place, m.hidden) + k, left)) : mul(v, scale);
    store_to(x + k, v, left);
  }
  decoder_norm(m.embed_norm, x, 1, m.hidden, x);
}

// Tokens that stopped below a layer which a later token of theirs enters go through it with it.
inline void join_pending(const Decoding &on, int layer, Climbers &c) {
  const DecoderModel &m = on.model;
  int total = 0;
  for (int i = 0; i < c.N; ++i) {
    const int row = c.row[c.newest[i]];
    total += c.place[c.newest[i]] + 1 - on.cache.filled[at(row, m.layers) + layer];
  }
  if (total == c.n) return;
  for (int i = 0; i < c.n; ++i)
    std::memcpy(state_at(m, on.cache, c.row[i], c.place[i]), c.x + at(i, m.hidden), sizeof(float) * m.hidden);
  int end = total;
  for (int i = c.N - 1; i >= 0; --i) { // from the end, because rows and places grow where they are
    const int row = c.row[c.newest[i]], place = c.place[c.newest[i]];
    const int filled = on.cache.filled[at(row, m.layers) + layer];
    for (int p = place; p >= filled; --p) {
      c.row[--end] = row;
      c.place[end] = p;
      std::memcpy(c.x + at(end, m.hidden), state_at(m, on.cache, row, p), sizeof(float) * m.hidden);
    }
  }
  c.n = total;
  c.find_newest();
}

// Layers from .. to, as far as nobody is asked between them, on all climbers.
inline void run_layers(const Decoding &on, int from, int to, Climbers &c, int64_t *work) {
  const int parts = smaller(threads(), c.N), H = on.model.hidden;
  Scratch scratch;
  int32_t *late = scratch.take<int32_t>(at(to - from, parts));
  for (int l = from; l < to; ++l) {
    int64_t *line = work + at(l, count::ALL);
    const int projected = prepare_sources(on, l, c.tokens());
    line[count::CROSS_PROJECTED] += projected;
    line[count::CROSS_CALLS] += projected > 0;
  }
  const auto start = [&](int part) {
    const int first = static_cast<int>(static_cast<int64_t>(c.N) * part / parts);
    return first ? c.newest[first - 1] + 1 : 0;
  };
  parallel_for(parts, [&](int part) {
    const Tokens mine = c.tokens().part(start(part), start(part + 1));
    for (int l = from; l < to; ++l)
      late[at(l - from, parts) + part] = decoder_layer(on, l, mine, c.x + at(start(part), H));
  });
  int64_t pairs = 0;
  for (int i = 0; i < c.n; ++i) {
    const int source = on.origin[c.row[i]];
    pairs += c.place[i] + 1 + on.source.start[source + 1] - on.source.start[source];
  }
  for (int l = from; l < to; ++l) {
    int64_t *line = work + at(l, count::ALL);
    line[count::ROWS] += c.n;
    line[count::PROJECTED] += c.n;
    for (int part = 0; part < parts; ++part) line[count::PROJECTED] += late[at(l - from, parts) + part];
    line[count::PAIRS] += pairs;
    line[count::CALLS]++;
  }
}

// Keys and values in all layers from one on, of tokens that leave (eager copying).
inline void propagate(const Decoding &on, int from, const Tokens &t, const float *x, int64_t *work) {
  const DecoderModel &m = on.model;
  const int width = m.heads * m.head_size;
  Scratch scratch;
  float *seen = scratch.floats(at(t.count, m.hidden)), *made = scratch.floats(at(t.count, 2 * width));
  for (int l = from; l < m.layers; ++l) {
    const DecoderNorm none = {0, 0, nullptr, nullptr};
    decoder_norm(m.pre_norm ? m.layer[l].self_norm : none, x, t.count, m.hidden, seen);
    times(*m.layer[l].key_value, seen, t.count, made);
    for (int i = 0; i < t.count; ++i) {
      put_token(on, l, t.row[i], t.place[i], made + at(i, 2 * width), made + at(i, 2 * width) + width);
      on.cache.filled[at(t.row[i], m.layers) + l] = t.place[i] + 1;
    }
    work[at(l, count::ALL) + count::PROJECTED] += t.count;
    work[at(l, count::ALL) + count::PROPAGATIONS]++;
  }
}

// Tokens whose sequence has left below the top go no further: their states are kept, and the
// climbers closed up. gone [N].
inline void part_from(const Decoding &on, int layer, const uint8_t *gone, Climbers &c, const DecodeStep &step) {
  const DecoderModel &m = on.model;
  Scratch scratch;
  int32_t *row = scratch.take<int32_t>(c.n), *place = scratch.take<int32_t>(c.n);
  float *x = scratch.floats(at(c.n, m.hidden));
  int left = 0, stay = 0;
  for (int i = 0, k = 0; i < c.n; ++i) {
    const float *mine = c.x + at(i, m.hidden);
    if (gone[k]) {
      std::memcpy(state_at(m, on.cache, c.row[i], c.place[i]), mine, sizeof(float) * m.hidden);
      std::memcpy(x + at(left, m.hidden), mine, sizeof(float) * m.hidden);
      row[left] = c.row[i];
      place[left++] = c.place[i];
    } else {
      if (stay != i) std::memcpy(c.x + at(stay, m.hidden), mine, sizeof(float) * m.hidden);
      c.row[stay] = c.row[i];
      c.place[stay++] = c.place[i];
    }
    k += i == c.newest[k];
  }
  if (step.pending == EAGER && left) propagate(on, layer, {row, place, left}, x, step.work);
  c.n = stay;
  c.find_newest();
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
