// What a step of decoding is asked for, and where it writes; decoding/compiled_structs.py has the same
// fields in the same order.
#pragma once
#include "decoder_model.h"

namespace tokenexit {

// Counts of one layer, in the order of DecodeWork's.
namespace count {
enum { ROWS, PROJECTED, PAIRS, CROSS_PROJECTED, SCORED, GATED, CALLS, PROPAGATIONS, SCORED_READ, CROSS_CALLS, JUDGED, ALL };
}

enum Pending : int32_t { LAZY, EAGER, PARALLEL }; // as decoding/layer.py

// The numbers of policies/rule.py that decoding carries out.
enum DecodeScore : int32_t {
  BY_NOBODY,
  BY_ENTROPY,
  BY_MAX_PROB,
  BY_MARGIN,
  BY_ENERGY,
  BY_PATIENCE,
  BY_DEPTH,
  BY_GATE,
  BY_SATURATION,
  BY_CONTEXT
};

// Numbers of a finished state that a context gate may read, as context/features names them.
namespace feature {
enum { STATE, CHANGE, LIKENESS, PLACE, DEPTH, LAST_DEPTHS, LAST_DOUBTS };
}

// A context gate: G small networks of F numbers, one for each exit or one for all.
struct DecodeGate {
  int32_t inputs, inner;    // F, I; 0: linear
  int32_t num_features, remembers; // remembers: whether the state at the exit before is asked for
  const int32_t *features;  // [num_features], in their order
  const int32_t *place;     // [L]: which network judges an exit
  const float *weight;      // [G, I, F]; of a linear gate [G, 1, F]
  const float *bias;        // [G, I]
  const float *out;         // [G, I] or null
  const float *out_bias;    // [G] or null
  int64_t macs;             // of a row
};

// Who leaves: one number a row against one threshold. Rows are sequences here, so windows and
// sentences have one row.
struct DecodeRule {
  int32_t score, low, patience, classes; // thresholds a layer: 1, or V
  int32_t steps;                         // thresholds there are; the last serve all steps after them
  int32_t shortlist;                     // best words that are scored after the first exit asked; 0: all
  const uint8_t *exits;                  // [L]: layers with an exit
  const uint8_t *asked;                  // [L]: exits at which the rule is asked
  const float *thresholds;               // [steps, L, classes]
  const int32_t *depths;                 // [R]: of BY_DEPTH; where null, of what is read
  const uint8_t *table;                  // [steps, V]: depth by step and token
  const float *gate;                     // [H] and a bias: of BY_GATE
  const DecodeGate *context;             // of BY_CONTEXT
};

struct DecodeStep {
  int32_t pending, num_banned;
  DecodeRule rule;
  const int32_t *banned; // [num_banned]: words that are not written
  int64_t *words;        // [R]: those that are read, and then in their place the best that follow
  float *logits;         // [R, V] or null
  int64_t *layers;       // [R]: where each sequence left
  int64_t *work;         // [L, count::ALL]
  float *depths;         // [R, width] or null: by place, the share of the layers that a token took
  float *doubts;         // [R, width]: how likely wrong a gate last took its exit to be
  int32_t trail_width, trail_reach; // before the first place there are so many zeros
};

// Greedy search.
struct DecodeRun {
  int32_t steps, most;    // done, and at most; tokens and layers have so many columns
  int32_t live, num_ends; // sequences that go on
  int32_t stop_at;        // length at which all end
  int32_t free_from;      // length from which banned words may be written
  int32_t padding;        // what ended sequences write
  int32_t reserved;
  const int32_t *ends;    // [num_ends]
  int32_t *rows;          // [live], ascending
  int64_t *tokens;        // [R, most]
  int64_t *layers;        // [R, most]
};

} // namespace tokenexit
