// Whole decoders with their caches: greedy search, single steps, layer by layer, copied sequences.
#pragma once
#include <list>
#include <numeric>

#include "fuzz.h"

namespace fuzz {

constexpr int REACH = 3, PLACES = REACH * tokenexit::BLOCK;

// A decoder, its cache and its sources, with all their memory.
struct Decoder {
  std::list<Layer> products;
  std::list<Buffer<float>> floats;
  std::list<Buffer<int32_t>> ints;
  std::list<Buffer<char>> bytes;
  Buffer<tokenexit::DecoderLayer> layers;
  tokenexit::DecoderModel model;
  tokenexit::DecoderCache cache;
  tokenexit::DecoderSource source;
  tokenexit::DecodeBatch batch;

  explicit Decoder(Random &random) : layers(static_cast<size_t>(random.upto(3))) {
    const int L = static_cast<int>(layers.size()), H = random.upto(60), h = random.upto(3), d = random.upto(40);
    const int V = random.maybe() ? random.upto(40) : 1000 + random.upto(200), I = h * d, F = random.upto(80);
    const int words = V + random.upto(3) - 1, kind = static_cast<int>(random.next() % 3);
    const auto matrix = [&](int K, int N) { return &products.emplace_back(random, K, N, kind).matrix; };
    const bool gated = random.maybe(), narrow = random.maybe();
    for (auto &layer : layers)
      layer = {norm(random, H), norm(random, H), norm(random, H), matrix(H, 3 * I), matrix(H, 2 * I),
               matrix(I, H), matrix(H, I), matrix(H, 2 * I), matrix(I, H), matrix(H, F),
               gated ? matrix(H, F) : nullptr, matrix(F, H)};
    model = {L, H, h, d, V, words, random.maybe(), static_cast<int32_t>(random.next() % 6), narrow, 0.3f, 1.5f,
             random.maybe() ? 1.f : 0.5f, numbers(random, words * H), random.maybe() ? numbers(random, PLACES * H) : nullptr,
             norm(random, H), norm(random, H), matrix(H, V), layers.data()};
    const int R = random.upto(4), blocks = 2 * R * REACH, wide = (d + 15) / 16 * 16;
    const int block = h * wide * tokenexit::BLOCK * (narrow ? 2 : 4);
    int32_t *stack = whole(blocks), *table = whole(R * REACH);
    std::iota(stack, stack + blocks, 0);
    std::fill(table, table + R * REACH, -1);
    cache = {R, 0, blocks, REACH, blocks, PLACES, room(L * blocks * block), room(L * blocks * block),
             const_cast<float *>(numbers(random, blocks * tokenexit::BLOCK * H)), table, whole(R * L), whole(blocks),
             stack, random.maybe() ? numbers(random, h * PLACES) : nullptr};
    const int texts = random.upto(3);
    int32_t *start = whole(texts + 1), *first = whole(texts + 1), *origin = whole(R), longest = 0;
    for (int i = 0; i < texts; ++i) {
      const int n = random.upto(40);
      start[i + 1] = start[i] + n, first[i + 1] = first[i] + (n + 15) / 16;
      longest = n > longest ? n : longest;
    }
    int32_t *number = whole(first[texts]);
    std::iota(number, number + first[texts], 0);
    for (int r = 0; r < R; ++r) origin[r] = random.upto(texts) - 1;
    source = {texts, start[texts], first[texts], longest, numbers(random, start[texts] * H), start, first, number,
              room(L * first[texts] * block), room(L * first[texts] * block),
              reinterpret_cast<uint8_t *>(room(L * texts))};
    batch = {&model, &cache, &source, origin};
  }
  Decoder(const Decoder &) = delete;

  const float *numbers(Random &random, int n) {
    return floats.emplace_back(some<float>(random, static_cast<size_t>(n))).data();
  }
  int32_t *whole(int n) { return ints.emplace_back(static_cast<size_t>(n)).data(); }
  char *room(int n) { return bytes.emplace_back(static_cast<size_t>(n)).data(); }

private:
  tokenexit::DecoderNorm norm(Random &random, int H) {
    const int32_t kind = static_cast<int32_t>(random.next() % 3);
    return {kind, 1e-5f, numbers(random, H), random.maybe() ? numbers(random, H) : nullptr};
  }
};

// What a step is asked for, and where it writes.
struct Step {
  Buffer<int64_t> words, layers, work;
  tokenexit::DecodeGate gate;
  tokenexit::DecodeStep step;

  Step(Random &random, Decoder &decoder)
      : words(static_cast<size_t>(decoder.cache.rows)), layers(words.size()),
        work(static_cast<size_t>(decoder.model.layers) * tokenexit::count::ALL) {
    const auto &m = decoder.model;
    const int32_t score = static_cast<int32_t>(random.next() % 10), classes = random.next() % 4 ? 1 : m.vocabulary;
    const int steps = random.upto(3), R = decoder.cache.rows, shortlist = random.maybe() ? random.upto(90) : 0;
    auto *exits = reinterpret_cast<uint8_t *>(decoder.room(m.layers)), *table = reinterpret_cast<uint8_t *>(decoder.room(PLACES * m.num_words));
    auto *asked = reinterpret_cast<uint8_t *>(decoder.room(m.layers));
    for (int i = 0; i + 1 < m.layers; ++i) exits[i] = random.maybe(), asked[i] = exits[i] && score && random.maybe();
    for (int i = 0; i < PLACES * m.num_words; ++i) table[i] = static_cast<uint8_t>(random.upto(m.layers));
    int32_t *depths = decoder.whole(R), *banned = decoder.whole(2);
    for (int r = 0; r < R; ++r) depths[r] = random.upto(m.layers), words.data()[r] = random.upto(m.num_words) - 1;
    for (int i = 0; i < 2; ++i) banned[i] = random.upto(m.vocabulary) - 1;
    const int pending = static_cast<int>(random.next() % 3);
    float *logits = random.maybe() ? reinterpret_cast<float *>(decoder.room(R * m.vocabulary * 4)) : nullptr;
    const tokenexit::DecodeRule rule{score, random.maybe(), random.upto(2), classes, steps, shortlist, exits,
                                     asked,
                                     decoder.numbers(random, steps * m.layers * classes),
                                     random.maybe() ? depths : nullptr, random.maybe() ? table : nullptr,
                                     decoder.numbers(random, m.hidden + 1), &gate};
    const int reach = random.upto(4), width = reach + PLACES;
    const bool known = random.maybe();
    gate = some_gate(random, decoder, known ? reach : 0);
    float *told = known ? reinterpret_cast<float *>(decoder.room(R * width * 4)) : nullptr;
    float *doubts = known ? reinterpret_cast<float *>(decoder.room(R * width * 4)) : nullptr;
    step = {pending, random.upto(3) - 1, rule, banned, words.data(), logits, layers.data(), work.data(), told, doubts, width, reach};
  }
  Step(const Step &) = delete;

private:
  // Looks back at so many tokens, if at any.
  static tokenexit::DecodeGate some_gate(Random &random, Decoder &decoder, int reach) {
    const auto &m = decoder.model;
    const int features = random.upto(6), inner = random.maybe() ? random.upto(40) : 0, units = inner ? inner : 1;
    const int gates = random.upto(3);
    int32_t *feature = decoder.whole(features), *place = decoder.whole(m.layers), inputs = 0, remembers = 0;
    for (int i = 0; i < features; ++i) {
      feature[i] = random.upto(reach ? 7 : 5) - 1;
      const bool wide = feature[i] == tokenexit::feature::STATE || feature[i] == tokenexit::feature::CHANGE;
      remembers |= feature[i] == tokenexit::feature::CHANGE || feature[i] == tokenexit::feature::LIKENESS;
      const bool back = feature[i] == tokenexit::feature::LAST_DEPTHS || feature[i] == tokenexit::feature::LAST_DOUBTS;
      inputs += wide ? m.hidden : back ? reach : 1;
    }
    for (int i = 0; i < m.layers; ++i) place[i] = random.upto(gates) - 1;
    return {inputs, inner, features, remembers, feature, place, decoder.numbers(random, gates * units * inputs),
            decoder.numbers(random, gates * units), inner ? decoder.numbers(random, gates * units) : nullptr,
            inner ? decoder.numbers(random, gates) : nullptr, 7};
  }
};

inline void decoder_greedy(Random &random) {
  Decoder decoder(random);
  const Step given(random, decoder);
  const int R = decoder.cache.rows, most = random.upto(PLACES);
  Buffer<int64_t> tokens(static_cast<size_t>(R * most)), layers(tokens.size());
  int32_t *rows = decoder.whole(R), *ends = decoder.whole(1);
  std::iota(rows, rows + R, 0);
  tokenexit::DecodeRun run{0, most, R, 1, PLACES, random.upto(5), 0, 0, ends, rows, tokens.data(), layers.data()};
  tokenexit_set_threads(random.upto(3));
  check(tokenexit::tokenexit_decode_greedy(&decoder.batch, &given.step, &run) == 1, "a word was unknown");
  for (const int64_t word : given.words) check(word >= 0 && word < decoder.model.num_words, "no word was chosen");
}

// Steps with sequences copied and dropped between them.
inline void decoder_steps(Random &random) {
  Decoder decoder(random);
  const Step given(random, decoder);
  auto &cache = decoder.cache;
  const int R = cache.rows, L = decoder.model.layers;
  for (int i = random.upto(30); i > 0; --i) {
    int32_t *rows = decoder.whole(R);
    std::iota(rows, rows + R, 0);
    const int made = tokenexit::tokenexit_decode_step(&decoder.batch, &given.step, rows, R);
    check(made != 2, "a word was unknown");
    if (!made) break;
    if (random.next() % 4) continue;
    int32_t *from = decoder.whole(R), *blocks = decoder.whole(R * REACH), *filled = decoder.whole(R * L);
    int32_t *origin = decoder.whole(R);
    for (int r = 0; r < R; ++r) from[r] = random.upto(R) - 1, origin[r] = decoder.batch.origin[from[r]];
    if (!tokenexit::tokenexit_decode_keep(&decoder.batch, from, R, blocks, filled, given.step.pending == tokenexit::PARALLEL))
      continue;
    cache.table = blocks, cache.filled = filled, decoder.batch.origin = origin;
  }
  int32_t *rows = decoder.whole(R);
  std::iota(rows, rows + R, 0);
  tokenexit::tokenexit_decode_drop(&decoder.batch, rows, R, 0);
  check(cache.unused == cache.blocks, "blocks were lost");
}

// As callers do who decide themselves: layers, states of those that leave, scores.
inline void decoder_layers(Random &random) {
  Decoder decoder(random);
  const auto &m = decoder.model;
  const int R = decoder.cache.rows;
  const size_t H = static_cast<size_t>(m.hidden), n = static_cast<size_t>(R);
  Buffer<float> x(n * H), y(n * H), logits(n * static_cast<size_t>(m.vocabulary));
  Buffer<int64_t> words(n), work(static_cast<size_t>(m.layers) * tokenexit::count::ALL);
  int32_t *rows = decoder.whole(R), *places = decoder.whole(R);
  std::iota(rows, rows + R, 0);
  tokenexit_set_threads(random.upto(3));
  for (int place = 0, until = random.upto(PLACES); place < until; ++place) {
    check(tokenexit::tokenexit_decode_open(&decoder.batch, rows, R), "the cache is full");
    for (auto &word : words) word = random.upto(m.num_words) - 1;
    std::fill(places, places + R, place);
    tokenexit::tokenexit_decode_embed(&m, words.data(), R, place, x.data());
    const int to = random.upto(m.layers);
    tokenexit::tokenexit_decode_layers(&decoder.batch, 0, to, rows, places, R, x.data(), work.data());
    tokenexit::tokenexit_decode_leave(&decoder.batch, to, random.maybe(), rows, places, R, x.data(), work.data());
    tokenexit::tokenexit_decode_states(&decoder.batch, rows, places, R, y.data());
    check(!std::memcmp(x.data(), y.data(), x.size() * sizeof(float)), "a state was not kept");
    tokenexit::tokenexit_decode_finish(&m, x.data(), R, y.data());
    tokenexit::tokenexit_decode_score(&m, x.data(), R, logits.data());
  }
}

} // namespace fuzz
