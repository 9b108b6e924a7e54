// One step from the bottom to where everybody has left.
#pragma once
#include "decode_gate.h"
#include "decode_step.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

// Rows that left unscored, to be scored together at the end: one reading of the vocabulary.
struct Unscored {
  float *x;     // [R, H]
  int32_t *row; // [R]
  int count, layer;
};

inline float *const *logits_of(Scratch &scratch, const DecodeStep &step, const int32_t *row, int n, int V) {
  if (!step.logits) return nullptr;
  float **found = scratch.take<float *>(n);
  for (int i = 0; i < n; ++i) found[i] = step.logits + at(row[i], V);
  return found;
}

inline void count_scored(const DecodeStep &step, int layer, int rows, int V, bool read) {
  int64_t *line = step.work + at(layer - 1, count::ALL);
  line[count::SCORED] += static_cast<int64_t>(rows) * V;
  if (read) line[count::SCORED_READ] += V;
}

// Rows x [n, H] at the first exit that is asked: their best words, and those of the lists they get.
inline void score_for_lists(const DecoderModel &m, const Lists &lists, const DecodeStep &step, float *const *logits,
                            const float *x, const int32_t *row, int n, Best *best, Best *judged) {
  const int most = smaller(n, HEAD_ROWS), V = m.vocabulary;
  Scratch scratch;
  float **wanted = scratch.take<float *>(most), *all = logits ? nullptr : scratch.floats(at(most, V));
  for (int from = 0; from < n; from += most) {
    const int count = smaller(most, n - from);
    for (int i = 0; i < count; ++i) wanted[i] = logits ? logits[from + i] : all + at(i, V);
    score_rows(m, x + at(from, m.hidden), count, wanted, step.banned, step.num_banned, true, best + from);
    parallel_for(count, [&](int i) {
      judged[from + i] = keep_list(lists, row[from + i], wanted[i], V, best[from + i]);
    });
  }
}

// Rows x [n, H] at an exit that is asked: best of the vocabulary, and judged, what the rule looks at.
// False where only lists were scored, so that nobody knows the next word.
inline bool score_exit(const DecoderModel &m, int layer, const DecodeStep &step, const Lists &lists, bool first,
                       const float *x, const int32_t *row, int n, Best *best, Best *judged) {
  const int V = m.vocabulary;
  if (lists.size && !first) {
    score_lists(m, lists, x, row, n, judged);
    step.work[at(layer - 1, count::ALL) + count::SCORED] += static_cast<int64_t>(n) * lists.size;
    step.work[at(layer - 1, count::ALL) + count::SCORED_READ] += static_cast<int64_t>(n) * lists.size;
    return false;
  }
  Scratch scratch;
  float *const *logits = logits_of(scratch, step, row, n, V);
  if (lists.size) score_for_lists(m, lists, step, logits, x, row, n, best, judged);
  else {
    score_rows(m, x, n, logits, step.banned, step.num_banned, true, best);
    std::memcpy(judged, best, sizeof(Best) * static_cast<size_t>(n));
  }
  count_scored(step, layer, n, V, true);
  return true;
}

// Everybody who is still there leaves, or those who may. False where nobody is left.
inline bool exit_at(const Decoding &on, int layer, const DecodeStep &step, Remembered &kept, const Lists &lists,
                    bool first, Climbers &c, Unscored &unscored) {
  const DecoderModel &m = on.model;
  const DecodeRule &rule = step.rule;
  const int H = m.hidden, N = c.N;
  const bool top = layer == m.layers, asked = !top && rule.asked[layer - 1];
  Scratch scratch;
  float *x = scratch.floats(at(N, H));
  int32_t *row = scratch.take<int32_t>(N);
  Best *best = scratch.take<Best>(N), *judged = scratch.take<Best>(N);
  uint8_t *gone = scratch.take<uint8_t>(N + 1);
  for (int i = 0; i < N; ++i) {
    row[i] = c.row[c.newest[i]];
    std::memcpy(x + at(i, H), c.x + at(c.newest[i], H), sizeof(float) * H);
  }
  const bool score = asked && reads_vocabulary(rule) &&
                     score_exit(m, layer, step, lists, first, x, row, N, best, judged);
  float *finished = nullptr, *wrong = nullptr;
  if (asked && (rule.score == BY_GATE || rule.score == BY_CONTEXT))
    finish_rows(m, x, N, finished = scratch.floats(at(N, H)));
  if (finished && rule.score == BY_GATE) step.work[at(layer - 1, count::ALL) + count::GATED] += N;
  if (finished && rule.score == BY_CONTEXT) {
    wrong = scratch.floats(static_cast<size_t>(N));
    judge_rows(step, m, layer, on.cache.length - 1, first, kept, finished, row, N, wrong);
    step.work[at(layer - 1, count::ALL) + count::JUDGED] += N * rule.context->macs;
  }
  int stay = 0;
  for (int i = 0; i < N; ++i) {
    const float *mine = x + at(i, H);
    gone[i] = top;
    if (asked) {
      const float *ready = finished ? finished + at(i, H) : nullptr;
      const float number = wrong ? wrong[i] : number_of(rule, m, kept, first, row[i], mine, ready, judged[i]);
      gone[i] = leaves(rule, m, on.cache.length - 1, layer, number, judged[i], kept, row[i]);
    }
    if (kept.hidden && !wrong) std::memcpy(kept.hidden + at(row[i], H), mine, sizeof(float) * H);
    stay += !gone[i];
    if (!gone[i]) continue;
    step.layers[row[i]] = layer;
    if (step.depths)
      step.depths[trail_at(step, row[i], on.cache.length - 1)] = static_cast<float>(layer) / static_cast<float>(m.layers);
    if (score) {
      step.words[row[i]] = best[i].next;
      continue;
    }
    std::memcpy(unscored.x + at(unscored.count, H), mine, sizeof(float) * H);
    unscored.row[unscored.count++] = row[i];
    unscored.layer = layer;
    count_scored(step, layer, 1, m.vocabulary, false);
  }
  if (!top && stay < N) part_from(on, layer, gone, c, step);
  return stay > 0;
}

inline void score_the_rest(const Decoding &on, const DecodeStep &step, const Unscored &unscored) {
  if (!unscored.count) return;
  const int n = unscored.count, V = on.model.vocabulary;
  Scratch scratch;
  Best *best = scratch.take<Best>(n);
  score_rows(on.model, unscored.x, n, logits_of(scratch, step, unscored.row, n, V), step.banned, step.num_banned,
             false, best);
  count_scored(step, unscored.layer, 0, V, true);
  for (int i = 0; i < n; ++i) step.words[unscored.row[i]] = best[i].next;
}

// The newest token of some sequences, ascending, whose place has been opened.
inline void climb(const Decoding &on, const int32_t *rows, int count, const DecodeStep &step) {
  const DecoderModel &m = on.model;
  const int R = on.cache.rows, H = m.hidden, place = on.cache.length - 1;
  const int most = step.pending == PARALLEL ? count * on.cache.length : count;
  Scratch scratch;
  Climbers c = {scratch.take<int32_t>(most), scratch.take<int32_t>(most), scratch.floats(at(most, H)),
                scratch.take<int32_t>(count), count, count};
  const bool compares = step.rule.score == BY_SATURATION;
  const bool remembers = step.rule.score == BY_CONTEXT && step.rule.context->remembers;
  Remembered kept = {scratch.take<int32_t>(R), scratch.take<int32_t>(R), scratch.take<int32_t>(R),
                     compares || remembers ? scratch.floats(at(R, H)) : nullptr};
  const Lists lists = make_lists(scratch, m, reads_vocabulary(step.rule) ? step.rule.shortlist : 0, R);
  Unscored unscored = {scratch.floats(at(count, H)), scratch.take<int32_t>(count), 0, 0};
  for (int i = 0; i < count; ++i) {
    c.row[i] = rows[i];
    c.place[i] = place;
    kept.word[rows[i]] = -1;
    if (step.doubts) step.doubts[trail_at(step, rows[i], place)] = 0.f;
    kept.sure[rows[i]] = 0;
    kept.depth[rows[i]] = depth_of(step.rule, m, rows[i], place, step.words[rows[i]]);
    embed(m, step.words[rows[i]], place, c.x + at(i, H));
  }
  c.find_newest();
  const auto stops = [&](int layer) {
    return layer == m.layers || step.rule.asked[layer - 1] || (compares && step.rule.exits[layer - 1]);
  };
  bool first = true;
  for (int layer = 0, to; layer < m.layers; layer = to) {
    to = layer + 1;
    if (step.pending == PARALLEL) join_pending(on, layer, c);
    else
      while (!stops(to)) ++to;
    run_layers(on, layer, to, c, step.work);
    if (!stops(to)) continue;
    if (!exit_at(on, to, step, kept, lists, first, c, unscored)) break;
    first = false;
  }
  score_the_rest(on, step, unscored);
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
