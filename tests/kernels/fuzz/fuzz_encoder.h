// Whole encoders on random texts: in one call by a rule, and step by step.
#pragma once
#include <list>

#include "fuzz.h"

namespace fuzz {

// An encoder with all its memory. H and I are independent, a head may be wider than a register.
struct Encoder {
  std::list<Layer> products;
  std::list<Buffer<float>> floats;
  Buffer<tokenexit::EncoderLayer> layers;
  Buffer<tokenexit::EncoderHead> heads;
  tokenexit::Encoder encoder;
  int vocabulary, places;

  explicit Encoder(Random &random)
      : layers(static_cast<size_t>(random.upto(3))), heads(layers.size()), vocabulary(random.upto(9)), places(40) {
    const int H = random.upto(70), C = random.upto(20), attention = random.upto(3), I = attention * random.upto(25);
    const int F = random.upto(80), kind = static_cast<int>(random.next() % 3);
    const bool gated = random.maybe(), pre_norm = random.maybe(), biased = random.maybe();
    for (auto &layer : layers) {
      const auto matrix = [&](int K, int N) { return &products.emplace_back(random, K, N, kind).matrix; };
      layer = {matrix(H, I), matrix(H, 2 * I), matrix(I, H), matrix(H, F), gated ? matrix(H, F) : nullptr,
               matrix(F, H), norm(random, H), norm(random, H), nullptr, 30, pre_norm,
               static_cast<int32_t>(random.next() % 6), attention, 0.2f};
      if (biased) layer.bias = numbers(random, attention * 59);
    }
    for (auto &head : heads) {
      const int D = random.maybe() ? random.upto(40) : 0;
      if (D) head = {dense(random, H, D), dense(random, D, C), tokenexit::TANH};
      else head = {{nullptr, nullptr, 0, 0}, dense(random, H, C), tokenexit::NONE};
    }
    const int E = random.maybe() ? random.upto(30) : H;
    const tokenexit::EncoderEmbedding embedding{numbers(random, vocabulary * E),
                                                random.maybe() ? numbers(random, places * E) : nullptr,
                                                random.maybe() ? numbers(random, 2 * E) : nullptr,
                                                E == H ? nullptr : &products.emplace_back(random, E, H, kind).matrix,
                                                norm(random, E), 1.5f, E, 1, random.maybe() ? 0 : -1};
    encoder = {static_cast<int32_t>(layers.size()), H, C, random.maybe(), embedding, norm(random, H), layers.data(),
               heads.data()};
  }

private:
  const float *numbers(Random &random, int n) {
    return floats.emplace_back(some<float>(random, static_cast<size_t>(n))).data();
  }
  tokenexit::EncoderNorm norm(Random &random, int width) {
    return {numbers(random, width), random.maybe() ? numbers(random, width) : nullptr, 1e-5f, random.maybe()};
  }
  tokenexit::EncoderDense dense(Random &random, int in, int out) {
    return {numbers(random, in * out), random.maybe() ? numbers(random, out) : nullptr, in, out};
  }
};

// Sequences of a few words, which have one row or more each; some rows belong to none.
struct Texts {
  int size;
  Buffer<int32_t> row_start, word_start;
  Buffer<int32_t> ids{0}, segments{0}, row_word{0}, first{0};
  tokenexit::Texts texts;

  Texts(Random &random, int vocabulary)
      : size(random.upto(4)), row_start(static_cast<size_t>(size + 1)), word_start(row_start.size()) {
    int32_t word_of[4][40], length[4], words[4];
    for (int s = 0; s < size; ++s) {
      length[s] = random.upto(30), words[s] = 0;
      for (int t = 0; t < length[s]; ++t) {
        const bool none = random.next() % 8 == 0, same = random.maybe() && t && word_of[s][t - 1] >= 0;
        word_of[s][t] = none ? -1 : same ? words[s] - 1 : words[s]++;
      }
      row_start.data()[s + 1] = row_start.data()[s] + length[s];
      word_start.data()[s + 1] = word_start.data()[s] + words[s];
    }
    const size_t rows = static_cast<size_t>(row_start.data()[size]), all = static_cast<size_t>(word_start.data()[size]);
    ids = Buffer<int32_t>(rows), segments = Buffer<int32_t>(rows), row_word = Buffer<int32_t>(rows);
    first = Buffer<int32_t>(all);
    for (int s = 0; s < size; ++s)
      for (int t = length[s] - 1; t >= 0; --t) {
        const int row = row_start.data()[s] + t, word = word_of[s][t];
        ids.data()[row] = random.upto(vocabulary) - 1, segments.data()[row] = random.maybe();
        row_word.data()[row] = word;
        if (word >= 0) first.data()[word_start.data()[s] + word] = t;
      }
    texts = {size, 0, row_start.data(), word_start.data(), ids.data(), random.maybe() ? segments.data() : nullptr,
             row_word.data(), first.data()};
  }
};

// A context gate of random features, as wide as they say.
struct Gate {
  std::list<Buffer<float>> floats;
  Buffer<tokenexit::Feature> features;
  Buffer<int32_t> gates;
  tokenexit::Context context;

  Gate(Random &random, const tokenexit::Encoder &encoder, size_t layers)
      : features(static_cast<size_t>(random.upto(7))), gates(layers) {
    const int C = encoder.classes, own = random.upto(static_cast<int>(features.size()));
    const int shown = static_cast<int>(features.size()) - own, P = random.upto(20), history = random.upto(4) - 1;
    const int reach = random.upto(3) - 1, inner = random.maybe() ? random.upto(40) : 0, all = random.upto(3);
    const bool of_logits = random.next() % 4 != 0;
    const auto width = [&](tokenexit::Feature one) {
      const int n = static_cast<int>(one);
      return n >= 3 && n <= 5 ? C : n < 9 ? 1 : n == 9 ? P : history;
    };
    int inputs = 0, told = 0;
    for (int i = 0; i < own + shown; ++i) { // 6 to 9 read no logits, from 10 on they remember
      int n = of_logits ? random.upto(14) - 1 : 5 + random.upto(4);
      if (i >= own) n %= 10;
      features.data()[i] = static_cast<tokenexit::Feature>(n);
      (i < own ? inputs : told) += width(features.data()[i]);
    }
    inputs += 2 * reach * (told + 2);
    for (auto &one : gates) one = random.upto(all) - 1;
    context = {inputs, inner, own, shown, told, reach, history, P, of_logits, features.data(), gates.data(),
               numbers(random, all * (inner ? inner : 1) * inputs), numbers(random, all * (inner ? inner : 1)),
               inner ? numbers(random, all * inner) : nullptr, inner ? numbers(random, all) : nullptr,
               numbers(random, all * P * encoder.width)};
  }

private:
  const float *numbers(Random &random, int n) {
    return floats.emplace_back(some<float>(random, static_cast<size_t>(n))).data();
  }
};

inline void encoder_rule(Random &random) {
  const Encoder made(random);
  const Texts given(random, made.vocabulary);
  const size_t L = made.layers.size(), C = static_cast<size_t>(made.encoder.classes), W = given.first.size();
  const int32_t columns = random.maybe() ? 1 : made.encoder.classes;
  auto thresholds = some<float>(random, L * static_cast<size_t>(columns));
  for (float &x : thresholds) x = (x + 10.f) / 20.f;
  Buffer<uint8_t> asked(L);
  Buffer<int32_t> depths(W), exit_layer(W);
  Buffer<float> logits(W * C), exits(L * W * C);
  Buffer<int64_t> work(L * tokenexit::WORK);
  for (auto &depth : depths) depth = random.upto(static_cast<int>(L));
  const int32_t scores[] = {tokenexit::NEVER,  tokenexit::ENTROPY,  tokenexit::MAX_PROB, tokenexit::MARGIN,
                            tokenexit::ENERGY, tokenexit::PATIENCE, tokenexit::DEPTH,    tokenexit::CONTEXT};
  const int32_t score = scores[random.next() % 8];
  const bool one_column = score == tokenexit::DEPTH || score == tokenexit::CONTEXT;
  const Gate gate(random, made.encoder, L);
  for (auto &one : asked) one = score != tokenexit::NEVER && random.maybe();
  const tokenexit::Rule rule{score, random.maybe(), random.upto(2), random.upto(6) - 1,
                             static_cast<int32_t>(random.next() % 3), one_column ? 1 : columns,
                             asked.data(), thresholds.data(), depths.data(), &gate.context};
  const tokenexit::Outcome outcome{logits.data(), exit_layer.data(), work.data(),
                                   random.next() % 4 ? nullptr : exits.data()};
  tokenexit_set_threads(random.upto(3));
  tokenexit::tokenexit_encoder_run(&made.encoder, &given.texts, &rule, static_cast<int32_t>(random.next() % 3),
                                   &outcome);
  if (!outcome.exits)
    for (const int32_t layer : exit_layer) check(layer >= 1 && layer <= static_cast<int32_t>(L), "a word never left");
}

inline void encoder_steps(Random &random) {
  const Encoder made(random);
  const Texts given(random, made.vocabulary);
  const auto *encoder = &made.encoder;
  const size_t C = static_cast<size_t>(encoder->classes), H = static_cast<size_t>(encoder->width);
  Buffer<char> block(static_cast<size_t>(tokenexit::tokenexit_encoder_bytes(encoder, &given.texts)));
  Buffer<int64_t> work(made.layers.size() * tokenexit::WORK);
  const int64_t at = tokenexit::tokenexit_encoder_enter(encoder, &given.texts, random.maybe(), block.data());
  auto *live = reinterpret_cast<tokenexit::Live *>(at);
  for (int layer = 0; layer < encoder->num_layers && live->words; ++layer) {
    tokenexit::tokenexit_encoder_step(encoder, live, layer, work.data());
    const size_t words = static_cast<size_t>(live->words);
    Buffer<float> states(words * H), scores(words * C);
    Buffer<uint8_t> gone(words);
    Buffer<int32_t> to(words);
    const bool mean = random.maybe() && layer + 1 < encoder->num_layers;
    tokenexit::tokenexit_encoder_seen(encoder, live, mean, states.data());
    tokenexit::tokenexit_encoder_score(encoder, layer, states.data(), live->words, scores.data());
    for (auto &one : gone) one = random.maybe();
    tokenexit::tokenexit_encoder_retire(live, gone.data(), to.data());
  }
}

} // namespace fuzz
