// What a context gate says of words at every exit while some leave, for test_context.py.
#include "context_gate.h"

using namespace tokenexit;
using namespace tokenexit::TOKENEXIT_ISA;

// first [S + 1]: where the words of each sentence begin; logits [E, W, C], states [E, W, H]; leaves
// [W]: the exit, from 0, at which each leaves; wrong [E, W]: that of words which are there.
TOKENEXIT_API void context_gate(const Context *context, int exits, int sentences, const int32_t *first, int classes,
                                int width, const float *logits, const float *states, const int32_t *leaves,
                                float *wrong) {
  Scratch scratch;
  const int W = first[sentences];
  const size_t words = static_cast<size_t>(W), C = static_cast<size_t>(classes), H = static_cast<size_t>(width);
  Live live{};
  live.size = sentences, live.width = width;
  live.word_start = scratch.take<int32_t>(static_cast<size_t>(sentences + 1));
  live.word = scratch.take<int32_t>(words), live.spot = scratch.take<int32_t>(words);
  float *scores = scratch.floats(words * C), *seen = scratch.floats(words * H), *found = scratch.floats(words);
  Heard heard{};
  for (int exit = 0; exit < exits; ++exit, logits += words * C, states += words * H, wrong += words) {
    live.words = live.word_start[0] = 0;
    for (int s = 0; s < sentences; ++s) {
      for (int w = first[s]; w < first[s + 1]; ++w) {
        if (leaves[w] < exit) continue;
        std::memcpy(scores + at(live.words, C), logits + at(w, C), sizeof(float) * C);
        std::memcpy(seen + at(live.words, H), states + at(w, H), sizeof(float) * H);
        live.word[live.words] = w, live.spot[live.words++] = w - first[s];
      }
      live.word_start[s + 1] = live.words;
    }
    if (!exit) heard = nothing_heard(scratch, *context, live, classes);
    judge(*context, exit, exits + 1, live, heard, context->of_logits ? scores : nullptr, classes, seen, found);
    for (int w = 0; w < live.words; ++w) wrong[live.word[w]] = found[w];
  }
}
