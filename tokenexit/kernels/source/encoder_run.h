// A batch on its way through an encoder: in one call where a rule decides, else step by step.
#pragma once
#include "context_gate.h"
#include "embed.h"
#include "exit.h"
#include "judge.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

// Bytes of the block that encoder_enter needs.
static int64_t encoder_bytes(const Encoder *encoder, const Texts *texts) {
  return static_cast<int64_t>(live_bytes(*texts, encoder->width));
}

// A batch before the first layer, in a block that stays the caller's; returns where Live lies.
static int64_t encoder_enter(const Encoder *encoder, const Texts *texts, int32_t drop, void *block) {
  Live *live = lay_out(block, *texts, encoder->width, drop);
  enter(*live, *texts);
  embed(encoder->embedding, *texts, *live);
  return reinterpret_cast<int64_t>(live);
}

// One layer (from 0); at the top only rows that somebody reads.
static void encoder_step(const Encoder *encoder, Live *live, int32_t layer, int64_t *work) {
  if (layer + 1 == encoder->num_layers) only_first_rows(*live);
  encoder_layer(encoder->layers[layer], *live);
  int64_t pairs = 0;
  for (int s = 0; s < live->size; ++s)
    pairs += static_cast<int64_t>(live->active_start[s + 1] - live->active_start[s]) *
             (live->row_start[s + 1] - live->row_start[s]);
  int64_t *here = work + WORK * layer;
  here[0] += live->active, here[1] += live->rows, here[2] += pairs, here[4] += 1;
}

// States as heads see them, out [W, H]: of each word's first row, or their mean.
static void encoder_seen(const Encoder *encoder, const Live *live, int32_t mean, float *out) {
  seen(*encoder, *live, nullptr, live->words, mean, out);
}

// Scores [n, C] of the head behind a layer (from 0).
static void encoder_score(const Encoder *encoder, int32_t layer, const float *x, int32_t n, float *out) {
  score_rows(encoder->heads[layer], x, n, out);
}

// Words halt, gone [W]; fills `to` [W] with their new numbers, -1 of those that left.
static void encoder_retire(Live *live, const uint8_t *gone, int32_t *to) { retire(*live, gone, to); }

// Words that halt are scored, unless they have been (logits [W, C]), and written down.
inline void write_down(const Encoder &encoder, const Live &live, int layer, const uint8_t *gone, const float *logits,
                       bool top_scores, const Outcome &outcome) {
  const size_t classes = static_cast<size_t>(encoder.classes);
  const bool top = layer + 1 == encoder.num_layers;
  Scratch scratch;
  int32_t *who = scratch.take<int32_t>(static_cast<size_t>(live.words));
  int n = 0;
  for (int w = 0; w < live.words; ++w)
    if (gone[w]) who[n++] = w;
  const float *scored = nullptr;
  if (!logits || (top_scores && !top)) {
    float *states = scratch.floats(at(n, static_cast<size_t>(live.width)));
    float *made = scratch.floats(at(n, classes));
    seen(encoder, live, who, n, encoder.mean && !top && !top_scores, states);
    score_rows(encoder.heads[top_scores ? encoder.num_layers - 1 : layer], states, n, made);
    if (!top_scores) outcome.work[WORK * layer + 3] += n;
    scored = made;
  }
  for (int i = 0; i < n; ++i) {
    const size_t word = static_cast<size_t>(live.word[who[i]]);
    const float *from = scored ? scored + at(i, classes) : logits + at(who[i], classes);
    std::memcpy(outcome.logits + word * classes, from, sizeof(float) * classes);
    outcome.exit_layer[word] = layer + 1;
  }
}

// All words at one exit, logits [W, C].
inline void score_all(const Encoder &encoder, const Live &live, int layer, float *logits, int64_t *work) {
  const bool top = layer + 1 == encoder.num_layers;
  Scratch scratch;
  float *states = scratch.floats(at(live.words, static_cast<size_t>(live.width)));
  seen(encoder, live, nullptr, live.words, encoder.mean && !top, states);
  score_rows(encoder.heads[layer], states, live.words, logits);
  work[WORK * layer + 3] += live.words;
}

// What a context gate says of all words at one exit, logits [W, C] or null.
inline void ask_context(const Encoder &encoder, const Live &live, int layer, const Context &context, Heard &heard,
                        const float *logits, float *wrong, int64_t *work) {
  Scratch scratch;
  float *states = nullptr;
  if (context.projected) {
    states = scratch.floats(at(live.words, static_cast<size_t>(live.width)));
    seen(encoder, live, nullptr, live.words, encoder.mean, states);
  }
  judge(context, layer, encoder.num_layers, live, heard, logits, encoder.classes, states, wrong);
  work[WORK * layer + 5] += live.words;
}

// One exit: who halts leaves. top_scores: whoever leaves is scored by the top's head (restore).
inline void encoder_exit(const Encoder &encoder, Live &live, int layer, const Rule &rule, Memory &memory, Heard &heard,
                         bool top_scores, const Outcome &outcome) {
  const bool top = layer + 1 == encoder.num_layers;
  Scratch scratch;
  float *logits = nullptr;
  if (top) {
    std::memset(memory.gone, 1, static_cast<size_t>(live.words));
  } else {
    if (of_logits(rule)) {
      logits = scratch.floats(at(live.words, static_cast<size_t>(encoder.classes)));
      score_all(encoder, live, layer, logits, outcome.work);
    }
    if (rule.score == CONTEXT)
      ask_context(encoder, live, layer, *rule.context, heard, logits, memory.number, outcome.work);
    decide(rule, layer, live, memory, logits, encoder.classes, encoder.classes);
    if (!std::memchr(memory.gone, 1, static_cast<size_t>(live.words))) return;
  }
  write_down(encoder, live, layer, memory.gone, logits, top_scores, outcome);
  int32_t *to = scratch.take<int32_t>(static_cast<size_t>(live.words));
  const int before = live.words;
  retire(live, memory.gone, to);
  keep(memory, to, before);
}

// From texts to classes. halted: 0 rows that halt are still read, 1 they are dropped, 2 dropped and
// their words scored by the top's head.
static void encoder_run(const Encoder *encoder, const Texts *texts, const Rule *rule, int32_t halted,
                        const Outcome *outcome) {
  Scratch scratch;
  void *block = scratch.take<char>(live_bytes(*texts, encoder->width));
  Live *live = reinterpret_cast<Live *>(encoder_enter(encoder, texts, halted != 0, block));
  const size_t words = static_cast<size_t>(live->words), classes = static_cast<size_t>(encoder->classes);
  const size_t all = static_cast<size_t>(texts->word_start[texts->size] - texts->word_start[0]);
  Memory memory{scratch.floats(words), scratch.take<int32_t>(words), scratch.floats(words),
                scratch.take<uint8_t>(words)};
  begin(*rule, memory, live->words);
  Heard heard{};
  if (rule->score == CONTEXT) heard = nothing_heard(scratch, *rule->context, *live, encoder->classes);
  float *exits = outcome->exits;
  for (int layer = 0; layer < encoder->num_layers && live->words; ++layer) {
    encoder_step(encoder, live, layer, outcome->work);
    if (!encoder->heads[layer].project.weight) continue;
    if (exits) {
      score_all(*encoder, *live, layer, exits, outcome->work);
      exits += all * classes;
    } else if (rule->asked[layer] || layer + 1 == encoder->num_layers) {
      encoder_exit(*encoder, *live, layer, *rule, memory, heard, halted == 2, *outcome);
    }
  }
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
