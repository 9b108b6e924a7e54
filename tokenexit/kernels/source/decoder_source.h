// The source side of decoding: each layer's keys and values of a source are made when the first token
// that reads that source enters the layer, and kept for all that follow.
#pragma once
#include "decoder_layer.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

inline void project_source(const Decoding &on, int layer, int number) {
  const DecoderModel &m = on.model;
  const DecoderSource &s = on.source;
  const int from = s.start[number], n = s.start[number + 1] - from, width = m.heads * m.head_size;
  Scratch scratch;
  float *made = scratch.floats(at(n, 2 * width));
  times(*m.layer[layer].cross_key_value, s.memory + at(from, m.hidden), n, made);
  for (int i = 0; i < n; ++i) {
    const float *row = made + at(i, 2 * width);
    put_into(m, s.keys, s.values, s.blocks, layer, s.first[number] + i / BLOCK, i % BLOCK, row, row + width);
  }
}

// Whatever the tokens need of their sources in a layer. Returns source tokens that were projected.
inline int prepare_sources(const Decoding &on, int layer, const Tokens &t) {
  DecoderSource &s = on.source;
  uint8_t *made = s.made + at(layer, s.count);
  Scratch scratch;
  int32_t *wanted = scratch.take<int32_t>(t.count);
  int count = 0, tokens = 0;
  for (int i = 0; i < t.count; ++i) {
    const int number = on.origin[t.row[i]];
    if (made[number]) continue;
    made[number] = 1;
    wanted[count++] = number;
    tokens += s.start[number + 1] - s.start[number];
  }
  parallel_for(count, [&](int i) { project_source(on, layer, wanted[i]); });
  return tokens;
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
