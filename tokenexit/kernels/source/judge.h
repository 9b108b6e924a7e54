// A rule carried out: a number a row, a threshold, a count, neighbours. In plain torch it is
// policies/rule_decide.py, and the same field names stand in policies/rule.py.
#pragma once
#include "live.h"
#include "math.h"
#include "rule.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

inline bool of_logits(const Rule &rule) {
  if (rule.score == CONTEXT) return rule.context->of_logits != 0;
  return rule.score != NEVER && rule.score != DEPTH;
}

// What is kept of the words between exits, and what is found at one; [W] each.
struct Memory {
  float *last;    // class predicted at the exit asked before, or number told there
  int32_t *count; // at how many exits in a row the word has been sure
  float *number;
  uint8_t *gone;
};

inline void begin(const Rule &rule, Memory &memory, int words) {
  for (int w = 0; w < words; ++w) {
    memory.last[w] = rule.score == CHANGE ? NAN : -1.f;
    memory.count[w] = 0;
  }
}

// Words that stay move up.
inline void keep(Memory &memory, const int32_t *to, int words) {
  for (int w = 0; w < words; ++w) {
    if (to[w] < 0) continue;
    memory.last[to[w]] = memory.last[w];
    memory.count[to[w]] = memory.count[w];
  }
}

// The first of the best classes; -1 where one is NaN.
inline int predicted(const float *logits, int classes) {
  int best = 0;
  for (int c = 0; c < classes; ++c) {
    if (logits[c] != logits[c]) return -1;
    if (logits[c] > logits[best]) best = c;
  }
  return best;
}

// A distribution in parts: of d = x - max and e = exp(d), the sum of e and of e d.
struct Peak {
  float max, sum, weighted;
  bool sound; // no NaN, and the best class is finite
};

// Keeps d and e, [C] each, where it is given room.
inline Peak peak(const float *logits, int classes, float *apart = nullptr, float *powers = nullptr) {
  const F lowest = splat(-FLT_MAX);
  F best = lowest, bad = zero(), sum = zero(), weighted = zero();
  for (int c = 0; c < classes; c += LANES) {
    const F x = max(lowest, load_to(logits + c, classes - c)); // NaN stays, a class ruled out does not
    best = max(choose(below(classes - c), x, best), best);
    bad = add(bad, mul(x, zero()));
  }
  const float top = reduce_max(best);
  for (int c = 0; c < classes; c += LANES) {
    const F d = max(sub(load_to(logits + c, classes - c), splat(top)), splat(-87.f));
    const F e = choose(below(classes - c), exp(d), zero());
    if (apart) {
      store_to(apart + c, d, classes - c);
      store_to(powers + c, e, classes - c);
    }
    sum = add(sum, e);
    weighted = fma(e, d, weighted);
  }
  return {top, reduce_add(sum), reduce_add(weighted), reduce_add(bad) == 0.f && top > -FLT_MAX};
}

// 0 when certain, 1 when all are alike.
inline float normalised_entropy(const Peak &p, float log_sum, int classes) {
  return classes < 2 ? 0.f : (log_sum - p.weighted / p.sum) / logf(static_cast<float>(classes));
}

inline float second(const float *logits, int classes, int best) {
  float found = -FLT_MAX;
  for (int c = 0; c < classes; ++c)
    if (c != best && logits[c] > found) found = logits[c];
  return found;
}

// The number of one word. `last` is read and written where the score needs it.
inline float number(const Rule &rule, const float *logits, int classes, float &last) {
  if (rule.score == PATIENCE) {
    const float best = static_cast<float>(predicted(logits, classes));
    const float differs = best != last || best < 0 ? 1.f : 0.f;
    last = best;
    return differs;
  }
  if (rule.score == CHANGE) {
    const float moved = fabsf(logits[0] - last);
    last = logits[0];
    return moved;
  }
  const Peak p = peak(logits, classes);
  if (!p.sound) // boundless energy is as sure as can be
    return rule.score == ENERGY && p.max > FLT_MAX && predicted(logits, classes) >= 0 ? -INFINITY : NAN;
  switch (rule.score) {
  case ENTROPY: return normalised_entropy(p, logf(p.sum), classes);
  case MAX_PROB: return 1.f / p.sum;
  case ENERGY: return -(p.max + logf(p.sum));
  default: // MARGIN
    if (classes < 2) return 1.f;
    return (1.f - expf(second(logits, classes, predicted(logits, classes)) - p.max)) / p.sum;
  }
}

// The mean of a sentence's numbers stands for each of them.
inline void mean_of_sentences(const Live &live, float *number) {
  for (int s = 0; s < live.size; ++s) {
    const int word = live.word_start[s], end = live.word_start[s + 1];
    double sum = 0;
    for (int w = word; w < end; ++w) sum += number[w];
    for (int w = word; w < end; ++w) number[w] = static_cast<float>(sum / (end - word));
  }
}

// Nobody halts of a sentence of which one does not.
inline void whole_sentences(const Live &live, uint8_t *gone) {
  for (int s = 0; s < live.size; ++s) {
    const int word = live.word_start[s], n = live.word_start[s + 1] - word;
    if (std::memchr(gone + word, 0, n)) std::memset(gone + word, 0, n);
  }
}

// Nobody halts within `reach` places of a word of its sentence that does not.
inline void windows(const Live &live, uint8_t *gone, int reach) {
  for (int s = 0; s < live.size; ++s) {
    const int word = live.word_start[s], end = live.word_start[s + 1];
    for (int w = word; w < end; ++w) {
      if (gone[w]) continue;
      for (int step = -1; step <= 1; step += 2)
        for (int v = w + step; v >= word && v < end && step * (live.spot[v] - live.spot[w]) <= reach; v += step)
          if (gone[v] == 1) gone[v] = 3; // would halt, and may not
    }
  }
  for (int w = 0; w < live.words; ++w) gone[w] = gone[w] == 1;
}

// Who halts at a layer (from 0), into memory.gone; logits [N, stride] unless the score needs none. Of
// a context gate memory.number is there already.
inline void decide(const Rule &rule, int layer, const Live &live, Memory &memory, const float *logits,
                   int classes, int stride) {
  const float *line = rule.thresholds + at(layer, rule.columns);
  for (int w = 0; w < live.words && rule.score != CONTEXT; ++w)
    memory.number[w] = rule.score == DEPTH
                           ? static_cast<float>(rule.depths[live.word[w]])
                           : number(rule, logits + at(w, stride), classes, memory.last[w]);
  if (rule.pool == SENTENCE_MEAN) mean_of_sentences(live, memory.number);
  for (int w = 0; w < live.words; ++w) {
    const int best = rule.columns == 1 ? 0 : predicted(logits + at(w, stride), classes);
    const float limit = line[best < 0 ? 0 : best]; // who predicts nothing has no number either
    const bool sure = rule.low ? memory.number[w] < limit : memory.number[w] > limit;
    memory.count[w] = sure ? memory.count[w] + 1 : 0;
    memory.gone[w] = memory.count[w] >= rule.patience;
  }
  if (rule.pool == SENTENCE) whole_sentences(live, memory.gone);
  if (rule.window > 1) windows(live, memory.gone, rule.window / 2);
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
