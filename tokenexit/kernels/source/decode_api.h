// What Python calls of decoding; decoding/compiled_structs.py mirrors the structures.
#pragma once
#include "decode_run.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

TX_INLINE Decoding decoding_of(const DecodeBatch *batch) {
  return {*batch->model, *batch->cache, *batch->source, batch->origin};
}

// Whether all sequences read words that there are.
inline bool words_known(const DecodeBatch *batch, const DecodeStep &step, const int32_t *rows, int count) {
  for (int i = 0; i < count; ++i)
    if (step.words[rows[i]] < 0 || step.words[rows[i]] >= batch->model->num_words) return false;
  return true;
}

// One step of the sequences rows [count], ascending. 1, or 0 where the cache has no room, or 2 where
// a word is unknown.
static int32_t decode_step(const DecodeBatch *batch, const DecodeStep *step, const int32_t *rows, int32_t count) {
  if (!words_known(batch, *step, rows, count)) return 2;
  if (!cache_open(*batch->model, *batch->cache, rows, count)) return 0;
  climb(decoding_of(batch), rows, count, *step);
  return 1;
}

static int32_t decode_greedy(const DecodeBatch *batch, const DecodeStep *step, DecodeRun *run) {
  if (!words_known(batch, *step, run->rows, run->live)) return 2;
  decode_run(decoding_of(batch), *step, *run);
  return 1;
}

static int32_t decode_open(const DecodeBatch *batch, const int32_t *rows, int32_t count) {
  return cache_open(*batch->model, *batch->cache, rows, count);
}

static int32_t decode_keep(const DecodeBatch *batch, const int32_t *from, int32_t count, int32_t *blocks,
                           int32_t *filled, int32_t apart) {
  return cache_keep(*batch->model, *batch->cache, from, count, blocks, filled, apart);
}

static void decode_drop(const DecodeBatch *batch, const int32_t *rows, int32_t count, int32_t from) {
  cache_drop(*batch->cache, rows, count, from);
}

static void decode_embed(const DecoderModel *model, const int64_t *words, int32_t count, int32_t place, float *x) {
  for (int i = 0; i < count; ++i) embed(*model, words[i], place, x + at(i, model->hidden));
}

// Layers from .. to on tokens x [n, H] of rows and places [n], ascending.
static void decode_layers(const DecodeBatch *batch, int32_t from, int32_t to, int32_t *rows, int32_t *places,
                          int32_t count, float *x, int64_t *work) {
  Scratch scratch;
  Climbers c = {rows, places, x, scratch.take<int32_t>(count), count, 0};
  c.find_newest();
  run_layers(decoding_of(batch), from, to, c, work);
}

// Tokens stop below layer from + 1: their states are kept, and copied upwards if asked.
static void decode_leave(const DecodeBatch *batch, int32_t from, int32_t eager, const int32_t *rows,
                         const int32_t *places, int32_t count, const float *x, int64_t *work) {
  const Decoding on = decoding_of(batch);
  const size_t H = static_cast<size_t>(on.model.hidden);
  for (int i = 0; i < count; ++i)
    std::memcpy(state_at(on.model, on.cache, rows[i], places[i]), x + at(i, H), sizeof(float) * H);
  if (eager) propagate(on, from, {rows, places, count}, x, work);
}

// The last states of tokens, x [n, H].
static void decode_states(const DecodeBatch *batch, const int32_t *rows, const int32_t *places, int32_t count,
                          float *x) {
  const size_t H = static_cast<size_t>(batch->model->hidden);
  for (int i = 0; i < count; ++i)
    std::memcpy(x + at(i, H), state_at(*batch->model, *batch->cache, rows[i], places[i]), sizeof(float) * H);
}

static void decode_finish(const DecoderModel *model, const float *x, int32_t count, float *y) {
  finish_rows(*model, x, count, y);
}

// Logits [n, V] of states x [n, H].
static void decode_score(const DecoderModel *model, const float *x, int32_t count, float *logits) {
  Scratch scratch;
  float *finished = scratch.floats(at(count, model->hidden));
  finish_rows(*model, x, count, finished);
  times(*model->head, finished, count, logits);
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
