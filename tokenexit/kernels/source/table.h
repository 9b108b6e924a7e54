// Every kernel that Python may call: one line here and a header in isa.cpp make it.
// KERNEL(result, name, (parameters), (their names)); kernels/signatures.py says the same to Python.
#pragma once
#include "decode_types.h"
#include "encoder.h"
#include "rule.h"
#include "watched.h"

#define TOKENEXIT_KERNELS(KERNEL)                                                                            \
  KERNEL(void, linear,                                                                                       \
         (const Matrix *w, const float *x, int64_t x_stride, int32_t rows, float *y, int64_t y_stride,       \
          int32_t activation, const float *plus, int64_t plus_stride, const float *times,                    \
          int64_t times_stride),                                                                             \
         (w, x, x_stride, rows, y, y_stride, activation, plus, plus_stride, times, times_stride))            \
  KERNEL(void, quantize_rows,                                                                                \
         (const float *x, int32_t rows, int32_t K, uint8_t *q, float *scale, int32_t *zero_point),           \
         (x, rows, K, q, scale, zero_point))                                                                 \
  KERNEL(void, layer_norm_rows,                                                                              \
         (const float *x, const float *weight, const float *bias, int32_t rows, int32_t n, float epsilon,    \
          float *y),                                                                                         \
         (x, weight, bias, rows, n, epsilon, y))                                                             \
  KERNEL(void, rms_norm_rows,                                                                                \
         (const float *x, const float *weight, int32_t rows, int32_t n, float epsilon, float *y),            \
         (x, weight, rows, n, epsilon, y))                                                                   \
  KERNEL(void, activation, (float *x, int64_t n, int32_t which), (x, n, which))                              \
  KERNEL(void, attention,                                                                                    \
         (const float *q, const float *k, const float *v, int64_t stride, int32_t rows, int32_t n,           \
          int32_t width, float scale, const float *bias, int64_t bias_stride, const float *mask, float *out),\
         (q, k, v, stride, rows, n, width, scale, bias, bias_stride, mask, out)) \
  KERNEL(void, encoder_run,                                                                                  \
         (const Encoder *encoder, const Texts *texts, const Rule *rule, int32_t halted, const Outcome *outcome), \
         (encoder, texts, rule, halted, outcome))                                                            \
  KERNEL(int64_t, encoder_bytes, (const Encoder *encoder, const Texts *texts), (encoder, texts))             \
  KERNEL(int64_t, encoder_enter, (const Encoder *encoder, const Texts *texts, int32_t drop, void *block),    \
         (encoder, texts, drop, block))                                                                      \
  KERNEL(void, encoder_step, (const Encoder *encoder, Live *live, int32_t layer, int64_t *work),             \
         (encoder, live, layer, work))                                                                       \
  KERNEL(void, encoder_seen, (const Encoder *encoder, const Live *live, int32_t mean, float *out),           \
         (encoder, live, mean, out))                                                                         \
  KERNEL(void, encoder_score, (const Encoder *encoder, int32_t layer, const float *x, int32_t n, float *out), \
         (encoder, layer, x, n, out))                                                                        \
  KERNEL(void, encoder_retire, (Live *live, const uint8_t *gone, int32_t *to), (live, gone, to))             \
  KERNEL(int32_t, decode_step,                                                                               \
         (const DecodeBatch *batch, const DecodeStep *step, const int32_t *rows, int32_t count),             \
         (batch, step, rows, count))                                                                         \
  KERNEL(int32_t, decode_greedy,                                                                             \
         (const DecodeBatch *batch, const DecodeStep *step, DecodeRun *run),                                 \
         (batch, step, run))                                                                                 \
  KERNEL(int32_t, decode_open,                                                                               \
         (const DecodeBatch *batch, const int32_t *rows, int32_t count),                                     \
         (batch, rows, count))                                                                               \
  KERNEL(int32_t, decode_keep,                                                                               \
         (const DecodeBatch *batch, const int32_t *from, int32_t count, int32_t *blocks, int32_t *filled,    \
          int32_t apart),                                                                                    \
         (batch, from, count, blocks, filled, apart))                                                        \
  KERNEL(void, decode_drop,                                                                                  \
         (const DecodeBatch *batch, const int32_t *rows, int32_t count, int32_t from),                       \
         (batch, rows, count, from))                                                                         \
  KERNEL(void, decode_embed,                                                                                 \
         (const DecoderModel *model, const int64_t *words, int32_t count, int32_t place, float *x),          \
         (model, words, count, place, x))                                                                    \
  KERNEL(void, decode_layers,                                                                                \
         (const DecodeBatch *batch, int32_t from, int32_t to, int32_t *rows, int32_t *places, int32_t        \
          count, float *x, int64_t *work),                                                                   \
         (batch, from, to, rows, places, count, x, work))                                                    \
  KERNEL(void, decode_leave,                                                                                 \
         (const DecodeBatch *batch, int32_t from, int32_t eager, const int32_t *rows, const int32_t          \
          *places, int32_t count, const float *x, int64_t *work),                                            \
         (batch, from, eager, rows, places, count, x, work))                                                 \
  KERNEL(void, decode_states,                                                                                \
         (const DecodeBatch *batch, const int32_t *rows, const int32_t *places, int32_t count, float *x),    \
         (batch, rows, places, count, x))                                                                    \
  KERNEL(void, decode_finish,                                                                                \
         (const DecoderModel *model, const float *x, int32_t count, float *y),                               \
         (model, x, count, y))                                                                               \
  KERNEL(void, decode_score,                                                                                 \
         (const DecoderModel *model, const float *x, int32_t count, float *logits),                          \
         (model, x, count, logits))                                                                          \
  KERNEL(void, watch_begin, (Watched *all, int32_t n), (all, n))                                             \
  KERNEL(int32_t, watch_look,                                                                                \
         (const Watched *all, int32_t n, int64_t turn, int64_t from, int64_t count),                         \
         (all, n, turn, from, count))

namespace tokenexit {

struct Table {
  const char *isa;
#define TOKENEXIT_MEMBER(RESULT, NAME, PARAMETERS, NAMES) RESULT(*NAME) PARAMETERS;
  TOKENEXIT_KERNELS(TOKENEXIT_MEMBER)
#undef TOKENEXIT_MEMBER
};

extern const Table table_avx512, table_avxvnni, table_avx2, table_portable;

} // namespace tokenexit
