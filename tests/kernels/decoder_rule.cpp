// One decision of a decoder's exit on given logits, for test_rules.py.
#include "decode_rule.h"

using namespace tokenexit;
using namespace tokenexit::TOKENEXIT_ISA;

// logits [N, V], of which so many are scored at a time; word, sure, depth, number and gone [N].
TOKENEXIT_API void decoder_rule(const DecodeRule *rule, int layer, int layers, int rows, int vocabulary, int part,
                                float *logits, int32_t *word, int32_t *sure, int32_t *depth, float *number,
                                uint8_t *gone) {
  DecoderModel model{};
  model.vocabulary = vocabulary, model.layers = layers;
  Remembered kept{word, sure, depth, nullptr};
  for (int i = 0; i < rows; ++i) {
    float *mine = logits + at(i, vocabulary);
    Best best = best_of_part(mine, 0, smaller(part, vocabulary), nullptr, 0);
    for (int from = part; from < vocabulary; from += part)
      best = joined(best, best_of_part(mine + from, from, smaller(part, vocabulary - from), nullptr, 0));
    number[i] = number_of(*rule, model, kept, true, i, nullptr, nullptr, best);
    gone[i] = leaves(*rule, model, 0, layer, number[i], best, kept, i);
  }
}
