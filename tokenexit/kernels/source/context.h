// A context gate as plain data: what it looks at, and its weights. The fields are those of
// halting/compiled/context.py; context/gate.py does the same in torch.
// F: numbers that it reads, I: units, K: neighbours, M: numbers that each of them tells, P: numbers
// of a state; G gates.
#pragma once
#include "api.h"

namespace tokenexit {

// In the order of CODES.
enum class Feature : int32_t {
  ENTROPY,
  LOG_ENTROPY,
  MARGIN,
  LOG_PROBABILITIES,
  PROBABILITIES,
  NAMED,
  PLACE,
  LENGTH,
  DEPTH,
  PROJECTION,
  EARLIER_ENTROPY,
  EARLIER_MARGIN,
  AGREEMENT,
  EARLIER_LOG_PROBABILITY
};

struct Context {
  int32_t inputs, inner;             // F; I, 0 for a linear gate
  int32_t own, shown, told;          // features of a word, and of its neighbours; M
  int32_t reach, history, projected; // K = 2 reach; exits that are remembered; P
  int32_t of_logits;                 // whether a head has to be computed
  const Feature *features;           // [own + shown]
  const int32_t *gates;              // [L]: which gate judges the exit behind a layer
  const float *weight, *bias;        // [G, I, F] and [G, I], with one unit where it is linear
  const float *out, *out_bias;       // [G, I] and [G]; null where it is linear
  const float *project;              // [G, P, H]; null where P is 0
};

} // namespace tokenexit
