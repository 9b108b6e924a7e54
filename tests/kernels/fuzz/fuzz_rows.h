// Products, norms, activations and attention of a head.
#pragma once
#include "fuzz.h"
#include <vector>

namespace fuzz {

inline void linear(Random &random) {
  const int K = random.upto(150), N = random.upto(200), rows = random.upto(20) - 1;
  const Layer layer(random, K, N, static_cast<int32_t>(random.next() % 3));
  const size_t x_stride = static_cast<size_t>(K + random.upto(3) - 1), y_stride = static_cast<size_t>(N);
  const size_t m = static_cast<size_t>(rows);
  const auto x = some<float>(random, m * x_stride), more = some<float>(random, m * y_stride);
  Buffer<float> y(m * y_stride);
  const bool plus = random.maybe(), times = random.maybe();
  tokenexit_set_threads(random.upto(3));
  tokenexit::tokenexit_linear(&layer.matrix, x.data(), static_cast<int64_t>(x_stride), rows, y.data(), N,
                              static_cast<int32_t>(random.next() % 6), plus ? more.data() : nullptr, N,
                              times ? more.data() : nullptr, N);
}

inline void rows(Random &random) {
  const int n = random.upto(20), width = random.upto(100);
  const size_t size = static_cast<size_t>(n * width), deep = static_cast<size_t>((width + 3) / 4 * 4);
  auto x = some<float>(random, size);
  const auto weight = some<float>(random, static_cast<size_t>(width));
  Buffer<float> y(size), scale(static_cast<size_t>(n));
  Buffer<uint8_t> q(static_cast<size_t>(n) * deep);
  Buffer<int32_t> zero(static_cast<size_t>(n));
  tokenexit::tokenexit_quantize_rows(x.data(), n, width, q.data(), scale.data(), zero.data());
  tokenexit::tokenexit_layer_norm_rows(x.data(), weight.data(), random.maybe() ? weight.data() : nullptr, n, width,
                                       1e-5f, y.data());
  tokenexit::tokenexit_rms_norm_rows(x.data(), weight.data(), n, width, 1e-5f, x.data());
  tokenexit::tokenexit_activation(y.data(), static_cast<int64_t>(size), static_cast<int32_t>(random.next() % 6));
}

inline void watch(Random &random) {
  const int n = random.upto(6);
  Buffer<tokenexit::Watched> all(static_cast<size_t>(n));
  std::vector<Buffer<float>> numbers;
  std::vector<Buffer<uint64_t>> seen;
  std::vector<Buffer<uint32_t>> column;
  for (int i = 0; i < n; ++i) {
    const size_t rows = static_cast<size_t>(random.upto(9)), width = static_cast<size_t>(random.upto(70));
    numbers.push_back(some<float>(random, rows * width));
    seen.emplace_back(rows);
    column.emplace_back(rows);
    all.data()[i] = {reinterpret_cast<const uint32_t *>(numbers.back().data()), static_cast<int64_t>(rows),
                     static_cast<int64_t>(width), seen.back().data(), column.back().data()};
  }
  tokenexit::tokenexit_watch_begin(all.data(), n);
  check(tokenexit::tokenexit_watch_look(all.data(), n, random.upto(99), 0, random.upto(99)) == 1,
        "what has not changed was taken for changed");
}

inline void attention(Random &random) {
  const int width = random.upto(80), n = random.upto(70), m = random.upto(20);
  const size_t w = static_cast<size_t>(width);
  const auto q = some<float>(random, static_cast<size_t>(m) * w), k = some<float>(random, static_cast<size_t>(n) * w);
  const auto bias = some<float>(random, static_cast<size_t>(m * n)), mask = some<float>(random, static_cast<size_t>(n));
  Buffer<float> out(q.size());
  tokenexit::tokenexit_attention(q.data(), k.data(), k.data(), width, m, n, width, 0.5f,
                                 random.maybe() ? bias.data() : nullptr, n, random.maybe() ? mask.data() : nullptr,
                                 out.data());
  for (const float x : out) check(x == x, "attention gave no number");
}

} // namespace fuzz
