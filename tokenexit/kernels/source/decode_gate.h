// Context gates: one hidden layer, or none, on numbers of finished states; as context/gate.py. No
// vocabulary is read.
#pragma once
#include "decode_rule.h"
#include "gate_network.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

// How many numbers a feature gives.
inline int width_of(int32_t of, int hidden, int reach) {
  if (of == feature::STATE || of == feature::CHANGE) return hidden;
  return of == feature::LAST_DEPTHS || of == feature::LAST_DOUBTS ? reach : 1;
}

// What is known of the last tokens of a sequence, the newest first.
inline void look_back(const DecodeStep &step, const float *known, int row, int place, float *numbers) {
  const float *newest = known + at(row, static_cast<size_t>(step.trail_width)) + step.trail_reach + place - 1;
  for (int k = 0; k < step.trail_reach; ++k) numbers[k] = newest[-k];
}

// What a gate reads of a finished row x [H]; before [H]: the row at the exit asked before, or null.
inline void gate_numbers(const DecodeStep &step, const DecoderModel &m, int layer, int place, int row, const float *x,
                         const float *before, float *numbers) {
  const DecodeGate &gate = *step.rule.context;
  const int H = m.hidden;
  for (int f = 0; f < gate.num_features; numbers += width_of(gate.features[f++], H, step.trail_reach)) {
    switch (gate.features[f]) {
    case feature::STATE: std::memcpy(numbers, x, sizeof(float) * static_cast<size_t>(H)); break;
    case feature::CHANGE:
      for (int k = 0; k < H; k += LANES) {
        const int left = H - k;
        store_to(numbers + k, before ? sub(load_to(x + k, left), load_to(before + k, left)) : zero(), left);
      }
      break;
    case feature::LIKENESS: *numbers = before ? cosine(x, before, H) : 0.f; break;
    case feature::LAST_DEPTHS: look_back(step, step.depths, row, place, numbers); break;
    case feature::LAST_DOUBTS: look_back(step, step.doubts, row, place, numbers); break;
    case feature::PLACE: *numbers = std::log1p(static_cast<float>(place)); break;
    default: *numbers = static_cast<float>(layer) / static_cast<float>(m.layers);
    }
  }
}

// How likely each finished row x [n, H] is wrong, wrong [n]; what they are is remembered.
inline void judge_rows(const DecodeStep &step, const DecoderModel &m, int layer, int place, bool first,
                       const Remembered &kept, const float *x, const int32_t *row, int n, float *wrong) {
  const DecodeGate &gate = *step.rule.context;
  const size_t H = static_cast<size_t>(m.hidden);
  Scratch scratch;
  float *numbers = scratch.floats(at(n, gate.inputs));
  for (int i = 0; i < n; ++i) {
    float *before = kept.hidden ? kept.hidden + at(row[i], H) : nullptr;
    gate_numbers(step, m, layer, place, row[i], x + at(i, H), first ? nullptr : before,
                 numbers + at(i, gate.inputs));
    if (before) std::memcpy(before, x + at(i, H), sizeof(float) * H);
  }
  Context network{};
  network.inputs = gate.inputs, network.inner = gate.inner;
  network.weight = gate.weight, network.bias = gate.bias;
  network.out = gate.out, network.out_bias = gate.out_bias;
  ask_gate(network, gate.place[layer - 1], numbers, n, wrong);
  if (!step.doubts) return;
  for (int i = 0; i < n; ++i) step.doubts[trail_at(step, row[i], place)] = wrong[i];
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
