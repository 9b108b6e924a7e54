// A tensor that is watched; the fields are those of kernels/watching.py.
#pragma once
#include "api.h"

namespace tokenexit {

struct Watched {
  const uint32_t *numbers; // [rows, width], as bits
  int64_t rows, width;
  uint64_t *seen;   // [rows], a digest of each
  uint32_t *column; // [rows], the first number of each
};

} // namespace tokenexit
