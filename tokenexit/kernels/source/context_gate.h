// A context gate asked about the words at an exit: their features, what is known of their neighbours,
// and a small network.
#pragma once
#include "context_features.h"
#include "gate_network.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

// A few numbers of each state, [W, H] -> [W, P].
inline const float *project(Scratch &scratch, const Context &context, int gate, const float *states, int words,
                            int width) {
  if (!context.projected) return nullptr;
  float *made = scratch.floats(at(words, static_cast<size_t>(context.projected)));
  const size_t size = at(context.projected, static_cast<size_t>(width));
  dense_rows({context.project + at(gate, size), nullptr, width, context.projected}, states, words, made);
  return made;
}

// How likely the exit behind a layer (from 0) is wrong about each word, into wrong [W].
// logits: [W, C], null where the gate reads none. states: [W, H], null unless it projects them.
inline void judge(const Context &context, int layer, int layers, const Live &live, Heard &heard,
                  const float *logits, int classes, const float *states, float *wrong) {
  Scratch scratch;
  const int gate = context.gates[layer];
  const size_t inputs = static_cast<size_t>(context.inputs), C = static_cast<size_t>(classes);
  float *x = scratch.floats(at(live.words, inputs));
  const float *projected = project(scratch, context, gate, states, live.words, live.width);
  Seen seen{scratch.floats(C), scratch.floats(C), 0.f, 0.f, -1, 0, 0, layer + 1, layers, nullptr};
  const size_t around = at(2 * context.reach, static_cast<size_t>(context.told + 2));
  for (int w = 0; w < live.words; ++w) {
    const int word = live.word[w];
    if (logits) look(logits + at(w, C), classes, seen);
    seen.place = live.spot[w], seen.size = heard.size[word];
    if (projected) seen.projected = projected + at(w, static_cast<size_t>(context.projected));
    float *own = x + at(w, inputs), *told = heard.told + at(word, static_cast<size_t>(context.told));
    for (int i = 0; i < context.own; ++i)
      own = put(context.features[i], context, heard, seen, word, classes, own);
    for (int i = 0; i < context.shown; ++i)
      told = put(context.features[context.own + i], context, heard, seen, word, classes, told);
    remember(context, heard, seen, word, classes);
  }
  for (int w = 0; w < live.words && context.reach; ++w) // when all have told
    look_around(context, heard, live.word[w], live.spot[w], x + at(w + 1, inputs) - around);
  ask_gate(context, gate, x, live.words, wrong);
  ++heard.exits;
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
