// Memory for the length of a call: each thread has its own and keeps it for the next call.
#pragma once
#include <cstddef>
#include <cstdint>

namespace tokenexit {

void *scratch_take(size_t bytes); // aligned to 64
size_t scratch_mark();
void scratch_release(size_t mark);

namespace TOKENEXIT_ISA {

// What is taken is given back at the end of the block. Contents are whatever was there.
class Scratch {
public:
  Scratch() : mark_(scratch_mark()) {}
  ~Scratch() { scratch_release(mark_); }
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;
  template <class T> T *take(size_t n) { return static_cast<T *>(scratch_take(n * sizeof(T))); }
  float *floats(size_t n) { return take<float>(n); }

private:
  size_t mark_;
};

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
