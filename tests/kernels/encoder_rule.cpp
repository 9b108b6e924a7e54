// One decision of an encoder's exit on given logits, for test_rules.py.
#include "judge.h"

using namespace tokenexit;
using namespace tokenexit::TOKENEXIT_ISA;

// logits [N, C]; first [S + 1]: where the words of each sentence begin; place, numbers, last, count,
// number and gone [N].
TOKENEXIT_API void encoder_rule(const Rule *rule, int words, int classes, const float *logits, int sentences,
                                int32_t *first, int32_t *place, int32_t *numbers, float *last, int32_t *count,
                                float *number, uint8_t *gone) {
  Live live{};
  live.size = sentences, live.words = words;
  live.word_start = first, live.spot = place, live.word = numbers;
  Memory memory{last, count, number, gone};
  decide(*rule, 0, live, memory, logits, classes, classes);
}
