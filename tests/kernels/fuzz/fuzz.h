// What fuzzing needs: numbers from a seed, and memory whose end is watched.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

#include "table.h"

#define DECLARE(RESULT, NAME, PARAMETERS, NAMES) extern "C" RESULT tokenexit_##NAME PARAMETERS;
namespace tokenexit {
TOKENEXIT_KERNELS(DECLARE)
}
#undef DECLARE
extern "C" {
void tokenexit_pack_int8(const int8_t *w, int32_t N, int32_t K, int8_t *packed, int32_t *sum);
void tokenexit_pack_fp32(const float *w, int32_t N, int32_t K, float *packed);
void tokenexit_pack_bf16(const uint16_t *w, int32_t N, int32_t K, uint16_t *packed);
int32_t tokenexit_use(const char *isa);
void tokenexit_set_threads(int32_t count);
}

namespace fuzz {

class Random {
public:
  explicit Random(uint64_t seed) : state_(seed * 2 + 1) {}
  uint32_t next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state_ >> 33);
  }
  int upto(int n) { return 1 + static_cast<int>(next() % static_cast<uint32_t>(n)); } // 1 .. n
  bool maybe() { return next() % 2 == 0; }
  float number() { return static_cast<float>(next() % 20001) / 1000.f - 10.f; }

private:
  uint64_t state_;
};

// n numbers, behind which lies a page that nobody may touch: optimised code and masked loads, which
// sanitizers do not see, are caught as well.
template <class T> class Buffer {
public:
  explicit Buffer(size_t n) : size_(n) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t body = (n * sizeof(T) + page - 1) / page * page;
    room_ = body + page;
    map_ = static_cast<char *>(mmap(nullptr, room_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (map_ == MAP_FAILED || mprotect(map_ + body, page, PROT_NONE)) std::abort();
    data_ = reinterpret_cast<T *>(map_ + body - n * sizeof(T));
  }
  Buffer(Buffer &&from) noexcept : size_(from.size_), room_(from.room_), map_(from.map_), data_(from.data_) {
    from.map_ = nullptr;
  }
  Buffer &operator=(Buffer &&from) noexcept {
    std::swap(size_, from.size_);
    std::swap(room_, from.room_);
    std::swap(map_, from.map_);
    std::swap(data_, from.data_);
    return *this;
  }
  ~Buffer() {
    if (map_) munmap(map_, room_);
  }
  T *data() const { return data_; }
  T *begin() const { return data_; }
  T *end() const { return data_ + size_; }
  size_t size() const { return size_; }

private:
  size_t size_, room_;
  char *map_;
  T *data_;
};

template <class T> Buffer<T> some(Random &random, size_t n) {
  Buffer<T> made(n);
  for (T &x : made) x = static_cast<T>(random.number());
  return made;
}

// A linear layer of random weights, with its memory.
struct Layer {
  Buffer<float> scale, bias;
  Buffer<int32_t> sum;
  Buffer<char> packed{0};
  tokenexit::Matrix matrix;

  Layer(Random &random, int K, int N, int32_t kind)
      : scale(some<float>(random, static_cast<size_t>(N))), bias(some<float>(random, static_cast<size_t>(N))),
        sum(static_cast<size_t>(N)) {
    const size_t n = static_cast<size_t>(N), k = static_cast<size_t>(K), wide = (n + 63) / 64 * 64;
    if (kind == tokenexit::INT8) {
      packed = Buffer<char>(wide * ((k + 3) / 4 * 4));
      tokenexit_pack_int8(some<int8_t>(random, n * k).data(), N, K, reinterpret_cast<int8_t *>(packed.data()),
                          sum.data());
    } else if (kind == tokenexit::FP32) {
      packed = Buffer<char>(wide * k * 4);
      tokenexit_pack_fp32(some<float>(random, n * k).data(), N, K, reinterpret_cast<float *>(packed.data()));
    } else {
      packed = Buffer<char>(wide * k * 2);
      Buffer<uint16_t> given(n * k);
      for (uint16_t &x : given) x = static_cast<uint16_t>(0x3f80 + random.next() % 256);
      tokenexit_pack_bf16(given.data(), N, K, reinterpret_cast<uint16_t *>(packed.data()));
    }
    matrix = {kind, K, N, packed.data(), scale.data(), sum.data(), bias.data()};
  }
  Layer(const Layer &) = delete;
};

inline void check(bool holds, const char *what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}

} // namespace fuzz
