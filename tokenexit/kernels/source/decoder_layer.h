// One decoder layer on any tokens: several of a sequence, of some sequences only. What a token gets
// depends on its own sequence and source alone, so tokens may be shared out between threads wherever
// a sequence ends.
#pragma once
#include "decoder_attention.h"
#include "decoder_cache.h"
#include "norm.h"
#include "product.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

struct Tokens {
  const int32_t *row, *place; // ascending by sequence, then by place
  int count;
  Tokens part(int from, int to) const { return {row + from, place + from, to - from}; }
};

struct Decoding {
  const DecoderModel &model;
  DecoderCache &cache;
  DecoderSource &source;
  const int32_t *origin; // [R]: source of each sequence
};

// x [n, H] -> y [n, H]; a copy where there is no norm. y may be x.
inline void decoder_norm(const DecoderNorm &norm, const float *x, int n, int width, float *y) {
  for (int i = 0; i < n; ++i) {
    const float *from = x + at(i, width);
    float *to = y + at(i, width);
    if (norm.kind == 1) layer_norm(from, norm.weight, norm.bias, width, norm.epsilon, to);
    else if (norm.kind == 2) rms_norm(from, norm.weight, width, norm.epsilon, to);
    else if (from != to) std::memcpy(to, from, sizeof(float) * width);
  }
}

// y [n, N] = then(x W^T + b), x [n, K].
inline void times(const Matrix &w, const float *x, int n, float *y, const Then &then = {}) {
  Scratch scratch;
  product(w, input_of(scratch, w.kind, x, w.K, n, w.K), y, w.N, then);
}

// Puts a token's keys and values, [I] each, where attention will read them.
template <class T>
inline void put(const DecoderModel &m, T *keys, T *values, int slot, const float *k, const float *v) {
  const int d = m.head_size, width = round_up(d, LANES);
  for (int h = 0; h < m.heads; ++h, k += d, v += d) {
    T *turned = keys + at(h, head_size(m)) + slot, *row = values + at(h, head_size(m)) + at(slot, width);
    for (int i = 0; i < d; ++i) keep(k[i], turned + i * BLOCK);
    for (int i = 0; i < d; ++i) keep(v[i], row + i);
  }
}

// The same into one of many blocks of a layer.
inline void put_into(const DecoderModel &m, void *keys, void *values, int blocks, int layer, int block, int slot,
                     const float *k, const float *v) {
  const auto with = [&](auto zero) {
    using T = decltype(zero);
    put(m, block_of<T>(m, keys, blocks, layer, block), block_of<T>(m, values, blocks, layer, block), slot, k, v);
  };
  if (m.narrow) with(uint16_t(0));
  else with(0.f);
}

inline void put_token(const Decoding &on, int layer, int row, int place, const float *k, const float *v) {
  const DecoderCache &c = on.cache;
  put_into(on.model, c.keys, c.values, c.blocks, layer, block_at(c, row, place), place % BLOCK, k, v);
}

// Tokens of a sequence that skipped a layer which one of its later tokens enters.
TX_INLINE int missing(const Decoding &on, int layer, const Tokens &t, int i) {
  if (i && t.row[i] == t.row[i - 1]) return 0;
  return t.place[i] - on.cache.filled[at(t.row[i], on.model.layers) + layer];
}

// Keys and values of the last states of such tokens. Returns how many there were.
inline int fill(const Decoding &on, int layer, const Tokens &t) {
  const DecoderModel &m = on.model;
  int count = 0;
  for (int i = 0; i < t.count; ++i) count += missing(on, layer, t, i);
  if (!count) return 0;
  Scratch scratch;
  const int width = m.heads * m.head_size;
  const DecoderNorm none = {0, 0, nullptr, nullptr}, &norm = m.pre_norm ? m.layer[layer].self_norm : none;
  float *x = scratch.floats(at(count, m.hidden)), *made = scratch.floats(at(count, 2 * width));
  for (int i = 0, n = 0; i < t.count; ++i)
    for (int left = missing(on, layer, t, i); left > 0; --left, ++n)
      decoder_norm(norm, state_at(m, on.cache, t.row[i], t.place[i] - left), 1, m.hidden,
                   x + at(n, m.hidden));
  times(*m.layer[layer].key_value, x, count, made);
  for (int i = 0, n = 0; i < t.count; ++i)
    for (int left = missing(on, layer, t, i); left > 0; --left, ++n)
      put_token(on, layer, t.row[i], t.place[i] - left, made + at(n, 2 * width),
                made + at(n, 2 * width) + width);
  return count;
}

// Keys and values of a layer, of a cache or a source, and room to read up to longest of them.
template <class T>
class Reader {
public:
  template <class Side>
  Reader(const DecoderModel &m, const Side &side, int layer, int longest)
      : m_(m), keys_(block_of<T>(m, side.keys, side.blocks, layer, 0)),
        values_(block_of<T>(m, side.values, side.blocks, layer, 0)),
        share_(scratch_.floats(round_up(longest, BLOCK))) {}

  // What one token reads with all its heads, read [I] from query [I]: n places in the blocks number.
  // bias: of the first head, those of others bias_stride behind; or null.
  void operator()(const int32_t *number, int n, const float *query, const float *bias, size_t bias_stride,
                  float *read) const {
    for (int h = 0; h < m_.heads; ++h) {
      const Blocks<T> blocks = {keys_ + at(h, head_size(m_)), values_ + at(h, head_size(m_)), number,
                                block_size(m_)};
      attend_blocks(query + at(h, m_.head_size), blocks, n, m_.head_size, m_.scaling,
                    bias ? bias + at(h, bias_stride) : nullptr, share_, read + at(h, m_.head_size));
    }
  }

private:
  Scratch scratch_; // before what is taken from it
  const DecoderModel &m_;
  const T *keys_, *values_;
  float *share_;
};

// What each token reads of its sequence, itself included: read [n, I] from joined [n, 3I].
template <class T>
inline void read_own(const Decoding &on, int layer, const Tokens &t, const float *joined, float *read) {
  const DecoderModel &m = on.model;
  const DecoderCache &c = on.cache;
  const int width = m.heads * m.head_size;
  const Reader<T> reader(m, c, layer, c.length);
  for (int i = 0; i < t.count; ++i) {
    const float *own = joined + at(i, 3 * width);
    const int n = t.place[i] + 1;
    put_token(on, layer, t.row[i], t.place[i], own + width, own + 2 * width);
    on.cache.filled[at(t.row[i], m.layers) + layer] = n;
    reader(c.table + at(t.row[i], c.reach), n, own, c.bias ? c.bias + c.bias_width - n : nullptr, c.bias_width,
           read + at(i, width));
  }
}

// What each token reads of its source: read [n, I] from query [n, I].
template <class T>
inline void read_source(const Decoding &on, int layer, const Tokens &t, const float *query, float *read) {
  const DecoderSource &s = on.source;
  const int width = on.model.heads * on.model.head_size;
  const Reader<T> reader(on.model, s, layer, s.longest);
  for (int i = 0; i < t.count; ++i) {
    const int from = on.origin[t.row[i]];
    reader(s.number + s.first[from], s.start[from + 1] - s.start[from], query + at(i, width), nullptr, 0,
           read + at(i, width));
  }
}

// The activated rows of the feed-forward block, wide [n, F] from x [n, H].
inline void feed_forward(const DecoderModel &m, const DecoderLayer &l, const float *x, int n, float *wide) {
  Scratch scratch;
  const Input in = input_of(scratch, l.inner->kind, x, m.hidden, n, m.hidden); // both products read it
  const size_t inner = static_cast<size_t>(l.inner->N);
  Then then;
  then.activation = m.activation;
  if (l.gate) {
    float *gate = scratch.floats(at(n, inner));
    product(*l.gate, in, gate, inner);
    then.times = gate;
    then.times_stride = inner;
  }
  product(*l.inner, in, wide, inner, then);
}

// x [n, H] in place; the sources of all tokens are ready. Returns tokens whose keys were made late.
inline int decoder_layer(const Decoding &on, int layer, const Tokens &t, float *x) {
  const DecoderModel &m = on.model;
  const DecoderLayer &l = m.layer[layer];
  const int n = t.count, H = m.hidden, width = m.heads * m.head_size, inner = l.inner->N;
  const int late = fill(on, layer, t);
  Scratch scratch;
  float *seen = scratch.floats(at(n, H)), *read = scratch.floats(at(n, width));
  float *wide = scratch.floats(at(n, larger(3 * width, inner)));
  // A block reads normed rows, and its residual is what entered; or it is normed at its end.
  const auto before = [&](const DecoderNorm &norm) {
    if (m.pre_norm) decoder_norm(norm, x, n, H, seen);
    return m.pre_norm ? seen : x;
  };
  const auto after = [&](const DecoderNorm &norm) {
    if (!m.pre_norm) decoder_norm(norm, x, n, H, x);
  };
  const Then plus = {NONE, x, static_cast<size_t>(H), nullptr, 0};
  times(*l.query_key_value, before(l.self_norm), n, wide);
  if (m.narrow) read_own<uint16_t>(on, layer, t, wide, read);
  else read_own<float>(on, layer, t, wide, read);
  times(*l.out, read, n, x, plus);
  after(l.self_norm);
  times(*l.cross_query, before(l.cross_norm), n, wide);
  if (m.narrow) read_source<uint16_t>(on, layer, t, wide, read);
  else read_source<float>(on, layer, t, wide, read);
  times(*l.cross_out, read, n, x, plus);
  after(l.cross_norm);
  feed_forward(m, l, before(l.feed_norm), n, wide);
  times(*l.outer, wide, n, x, plus);
  after(l.feed_norm);
  return late;
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
