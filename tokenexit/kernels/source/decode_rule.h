// Who leaves at an exit of the decoder: one number a row against one threshold, as policies/rule.py
// says. Rows are sequences here: windows and sentences have one row.
#pragma once
#include "decode_types.h"
#include "decode_list.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

TX_INLINE bool reads_vocabulary(const DecodeRule &rule) {
  return rule.score == BY_ENTROPY || rule.score == BY_MAX_PROB || rule.score == BY_MARGIN || rule.score == BY_ENERGY ||
         rule.score == BY_PATIENCE || rule.classes > 1;
}

// A row with a NaN predicts nothing.
TX_INLINE bool predicts(const Best &best) { return best.weighted == best.weighted; }

// What is remembered of each sequence from one exit to the next, within a step.
struct Remembered {
  int32_t *word;   // [R]: predicted at the exit asked before, -1 at first
  int32_t *sure;   // [R]: how often in a row
  int32_t *depth;  // [R]: assigned
  float *hidden;   // [R, H]: at the exit before; null unless the rule or gate compares states
};

// Where a token is remembered.
TX_INLINE size_t trail_at(const DecodeStep &step, int row, int place) {
  return at(row, static_cast<size_t>(step.trail_width)) + static_cast<size_t>(step.trail_reach + place);
}

inline float cosine(const float *x, const float *y, int n) {
  F xy = zero(), xx = zero(), yy = zero();
  for (int k = 0; k < n; k += LANES) {
    const F a = load_to(x + k, n - k), b = load_to(y + k, n - k);
    xy = fma(a, b, xy);
    xx = fma(a, a, xx);
    yy = fma(b, b, yy);
  }
  // As torch: neither length below 1e-8.
  const float lengths = larger(std::sqrt(reduce_add(xx)), 1e-8f) * larger(std::sqrt(reduce_add(yy)), 1e-8f);
  const float found = reduce_add(xy) / lengths;
  return found > 1.f ? 1.f : found < -1.f ? -1.f : found;
}

// The learned gate of a finished row: weight [H], then the bias.
inline float gate_of(const float *gate, const float *x, int n) {
  F sum = zero();
  for (int k = 0; k < n; k += LANES) sum = fma(load_to(x + k, n - k), load_to(gate + k, n - k), sum);
  return 1.f / (1.f + std::exp(-(reduce_add(sum) + gate[n])));
}

// The number that a row gives. finished [H] for the gate, best for what reads the vocabulary.
inline float number_of(const DecodeRule &rule, const DecoderModel &m, const Remembered &kept, bool first, int row,
                       const float *hidden, const float *finished, const Best &best) {
  const int words = rule.shortlist ? smaller(rule.shortlist, m.vocabulary) : m.vocabulary;
  const bool of_words = reads_vocabulary(rule) && rule.score != BY_PATIENCE;
  if (of_words && !(predicts(best) && best.top > -FLT_MAX)) return NAN;
  switch (rule.score) {
  case BY_ENTROPY: return entropy_of(best, words);
  case BY_MAX_PROB: return 1.f / best.sum;
  case BY_MARGIN: return margin_of(best);
  case BY_ENERGY: return -(best.top + std::log(best.sum));
  case BY_PATIENCE: return predicts(best) && best.word == kept.word[row] ? 0.f : 1.f;
  case BY_DEPTH: return static_cast<float>(kept.depth[row]);
  case BY_GATE: return gate_of(rule.gate, finished, m.hidden);
  case BY_SATURATION: return first ? -1.f : cosine(hidden, kept.hidden + at(row, m.hidden), m.hidden);
  default: return 0.f;
  }
}

// The layer assigned to the token that a sequence reads.
inline int depth_of(const DecodeRule &rule, const DecoderModel &m, int row, int time, int64_t word) {
  if (rule.depths) return rule.depths[row];
  return rule.table ? rule.table[at(time, m.num_words) + static_cast<size_t>(word)] : 0;
}

// Whether a row leaves, and what is remembered of it.
inline bool leaves(const DecodeRule &rule, const DecoderModel &m, int time, int layer, float number, const Best &best,
                   Remembered &kept, int row) {
  const int predicted = rule.classes > 1 ? best.word : 0;
  const int line = smaller(time, rule.steps - 1) * m.layers + layer - 1;
  const float limit = rule.thresholds[at(line, rule.classes) + predicted];
  const bool sure = rule.low ? number < limit : number > limit;
  kept.sure[row] = sure ? kept.sure[row] + 1 : 0;
  if (rule.score == BY_PATIENCE) kept.word[row] = predicts(best) ? best.word : -1;
  return kept.sure[row] >= rule.patience;
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
