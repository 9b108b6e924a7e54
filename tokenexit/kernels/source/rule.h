// Who halts, as plain data; the fields are those of policies/rule.py.
#pragma once
#include "context.h"

namespace tokenexit {

enum Score : int32_t { NEVER, ENTROPY, MAX_PROB, MARGIN, ENERGY, PATIENCE, DEPTH, GATE, SATURATION, CHANGE, CONTEXT };
enum Pool : int32_t { ALONE, SENTENCE, SENTENCE_MEAN };

struct Rule {
  int32_t score, low, patience, window, pool;
  int32_t columns;         // thresholds of a layer: 1, or C where the predicted class chooses
  const uint8_t *asked;    // [L]
  const float *thresholds; // [L, columns]
  const int32_t *depths;   // [W] of the batch, for DEPTH
  const Context *context;  // for CONTEXT
};

} // namespace tokenexit
