// Greedy search: steps until every text has ended, or as many as were asked for.
#pragma once
#include "decode_climb.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

inline bool ends(const DecodeRun &run, int64_t word) {
  for (int i = 0; i < run.num_ends; ++i)
    if (run.ends[i] == word) return true;
  return false;
}

// step.words holds the newest word of each sequence; so it does afterwards.
inline void decode_run(const Decoding &on, DecodeStep step, DecodeRun &run) {
  const int R = on.cache.rows, num_banned = step.num_banned;
  while (run.steps < run.most && run.live && on.cache.length < run.stop_at) {
    if (!cache_open(on.model, on.cache, run.rows, run.live)) return;
    for (int r = 0; r < R; ++r) {
      run.tokens[at(r, run.most) + run.steps] = run.padding;
      run.layers[at(r, run.most) + run.steps] = 0;
    }
    step.num_banned = on.cache.length < run.free_from ? num_banned : 0;
    climb(on, run.rows, run.live, step);
    int going = 0;
    for (int i = 0; i < run.live; ++i) {
      const int row = run.rows[i];
      run.tokens[at(row, run.most) + run.steps] = step.words[row];
      run.layers[at(row, run.most) + run.steps] = step.layers[row];
      if (!ends(run, step.words[row])) run.rows[going++] = row;
    }
    run.live = going;
    ++run.steps;
  }
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
