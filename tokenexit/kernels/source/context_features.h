// The features of context/features/, on what an exit says of one word: its probabilities are computed
// once, and each feature writes its numbers.
#pragma once
#include "context_memory.h"
#include "judge.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

constexpr float FLOOR = -8.f; // of log-probabilities

// A word at an exit. The first five are not set where no feature is of logits.
struct Seen {
  float *log_probs, *probs; // [C]; the former at least FLOOR
  float entropy, margin;
  int named; // -1 where a number is none
  int place, size, layer, layers;
  const float *projected; // [P]
};

// Of logits [C], which the exit's head gave.
inline void look(const float *logits, int classes, Seen &seen) {
  const Peak p = peak(logits, classes, seen.log_probs, seen.probs);
  const float log_sum = p.sound ? logf(p.sum) : NAN, share = p.sound ? 1.f / p.sum : NAN;
  for (int c = 0; c < classes; c += LANES) {
    const int left = classes - c;
    const F log_prob = sub(load_to(seen.log_probs + c, left), splat(log_sum));
    store_to(seen.log_probs + c, max(splat(FLOOR), log_prob), left); // NaN stays
    store_to(seen.probs + c, mul(load_to(seen.probs + c, left), splat(share)), left);
  }
  seen.named = predicted(logits, classes);
  seen.entropy = p.sound ? normalised_entropy(p, log_sum, classes) : NAN;
  if (classes < 2 || !p.sound) {
    seen.margin = classes < 2 ? 1.f : NAN;
    return;
  }
  float &best = seen.probs[seen.named];
  const float most = best;
  best = -1.f;
  F other = splat(-1.f);
  for (int c = 0; c < classes; c += LANES)
    other = max(other, choose(below(classes - c), load_to(seen.probs + c, classes - c), splat(-1.f)));
  best = most;
  seen.margin = most - reduce_max(other);
}

// Numbers of the exits before, the last first; `absent` before there were so many.
template <class Number>
inline float *earlier(const Context &context, const Heard &heard, int word, float absent, float *to,
                      const Number &number) {
  for (int back = 1; back <= context.history; ++back)
    *to++ = back <= heard.exits ? number(said(heard, context, word, back)) : absent;
  return to;
}

inline float *copy(const float *from, int n, float *to) {
  std::memcpy(to, from, sizeof(float) * static_cast<size_t>(n));
  return to + n;
}

inline float *one(float number, float *to) {
  *to = number;
  return to + 1;
}

// The numbers of a feature of a word; returns where the next go.
inline float *put(Feature feature, const Context &context, const Heard &heard, const Seen &seen, int word,
                  int classes, float *to) {
  switch (feature) {
  case Feature::ENTROPY: return one(seen.entropy, to);
  case Feature::LOG_ENTROPY: return one(logf(seen.entropy + 1e-4f), to);
  case Feature::MARGIN: return one(seen.margin, to);
  case Feature::LOG_PROBABILITIES: return copy(seen.log_probs, classes, to);
  case Feature::PROBABILITIES: return copy(seen.probs, classes, to);
  case Feature::NAMED:
    std::memset(to, 0, sizeof(float) * static_cast<size_t>(classes));
    if (seen.named >= 0) to[seen.named] = 1.f;
    return to + classes;
  case Feature::PLACE: return one(log1pf(static_cast<float>(seen.place)), to);
  case Feature::LENGTH: return one(log1pf(static_cast<float>(seen.size)), to);
  case Feature::DEPTH: return one(static_cast<float>(static_cast<double>(seen.layer) / seen.layers), to);
  case Feature::PROJECTION: return copy(seen.projected, context.projected, to);
  case Feature::EARLIER_ENTROPY:
    return earlier(context, heard, word, 1.f, to, [&](size_t i) { return heard.entropy[i]; });
  case Feature::EARLIER_MARGIN:
    return earlier(context, heard, word, 0.f, to, [&](size_t i) { return heard.margin[i]; });
  case Feature::AGREEMENT:
    return earlier(context, heard, word, 0.f, to,
                   [&](size_t i) { return heard.named[i] >= 0 && heard.named[i] == seen.named ? 1.f : 0.f; });
  case Feature::EARLIER_LOG_PROBABILITY: // of the class that is named now
    return earlier(context, heard, word, FLOOR, to, [&](size_t i) {
      return heard.log_probs[i * static_cast<size_t>(classes) + static_cast<size_t>(larger(seen.named, 0))];
    });
  }
  return to;
}

// Keeps what an exit said of a word, for the next.
inline void remember(const Context &context, Heard &heard, const Seen &seen, int word, int classes) {
  heard.since[word] = heard.exits;
  if (!context.history || !context.of_logits) return;
  const size_t i = said(heard, context, word, 0), C = static_cast<size_t>(classes);
  heard.named[i] = seen.named, heard.entropy[i] = seen.entropy, heard.margin[i] = seen.margin;
  if (heard.log_probs) std::memcpy(heard.log_probs + i * C, seen.log_probs, sizeof(float) * C);
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
