// What a context gate remembers of words from one exit to the next. It lies under the number that a
// word has in its batch, so that whoever left stays as it was and nothing moves when others leave.
#pragma once
#include "context.h"
#include "live.h"
#include "scratch.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

// W words entered; C classes.
struct Heard {
  size_t words;   // W
  int exits;      // asked before this one
  int32_t *size;  // [W]: words of its sequence
  int32_t *since; // [W]: the exit at which it was there last, from 0
  float *told;    // [W, M]: what its neighbours saw of it there
  // Of the last `history` exits, exit e at place e % history:
  int32_t *named;          // [history, W]: class, -1 for none
  float *entropy, *margin; // [history, W]
  float *log_probs;        // [history, W, C]; null unless a feature reads it
};

inline bool reads(const Context &context, Feature feature) {
  for (int i = 0; i < context.own; ++i)
    if (context.features[i] == feature) return true;
  return false;
}

// Before the first exit, when everybody is there.
inline Heard nothing_heard(Scratch &scratch, const Context &context, const Live &live, int classes) {
  const size_t W = static_cast<size_t>(live.words), kept = at(context.history, W);
  const bool all = reads(context, Feature::EARLIER_LOG_PROBABILITY);
  Heard heard{W, 0, scratch.take<int32_t>(W), scratch.take<int32_t>(W), scratch.floats(at(context.told, W)),
              scratch.take<int32_t>(kept), scratch.floats(kept), scratch.floats(kept),
              all ? scratch.floats(at(classes, kept)) : nullptr};
  for (int s = 0; s < live.size; ++s)
    for (int w = live.word_start[s]; w < live.word_start[s + 1]; ++w)
      heard.size[live.word[w]] = live.word_start[s + 1] - live.word_start[s];
  return heard;
}

// Where what a word said `back` exits ago is kept, in units of a word; only if there were so many.
inline size_t said(const Heard &heard, const Context &context, int word, int back) {
  return at((heard.exits - back) % context.history, heard.words) + static_cast<size_t>(word);
}

// What is read of the neighbours of a word, to [K (M + 2)]: their numbers from the left, which of
// them exist, which have left. Say, of reach 2 word 7 of the batch, second of four in its sequence:
// there is none two before it, so 0 | told[6] | told[8] | told[9], then 0 1 1 1, then who has left.
inline void look_around(const Context &context, const Heard &heard, int word, int place, float *to) {
  const size_t M = static_cast<size_t>(context.told);
  const int neighbours = 2 * context.reach;
  float *exist = to + at(neighbours, M), *left = exist + neighbours;
  for (int k = 0; k < neighbours; ++k) {
    const int step = k < context.reach ? k - context.reach : k - context.reach + 1;
    const bool there = place + step >= 0 && place + step < heard.size[word];
    float *numbers = to + at(k, M);
    if (there) std::memcpy(numbers, heard.told + at(word + step, M), sizeof(float) * M);
    else std::memset(numbers, 0, sizeof(float) * M);
    exist[k] = there;
    left[k] = there && heard.since[word + step] < heard.exits;
  }
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
