// Chooses the instruction set of this processor, and gives the kernels their plain C names.
#include "table.h"
#define TOKENEXIT_ISA shared
#include "threads.h"
#include <cstring>
#include <initializer_list>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace tokenexit {
namespace {

#if defined(__x86_64__)
bool bit(unsigned word, int n) { return (word >> n & 1u) != 0; }

// What the processor can do and the system saves between threads.
struct Processor {
  bool avx512 = false, avxvnni = false, avx2 = false;
  Processor() {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !bit(c, 27) || !bit(c, 28) || !bit(c, 12)) return;
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & 0x06) != 0x06 || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
    const unsigned leaves = a;
    avx2 = bit(b, 5);
    const bool foundation = bit(b, 16) && bit(b, 17) && bit(b, 30) && bit(b, 31);
    avx512 = avx2 && foundation && bit(c, 11) && (low & 0xe0) == 0xe0;
    if (leaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) avxvnni = avx2 && bit(a, 4);
  }
};
#endif

// The table of an instruction set that this library has and this processor can run.
const Table *table_of(const char *isa) {
#if defined(__x86_64__)
  static const Processor processor;
#if defined(TOKENEXIT_HAVE_AVX512)
  if (processor.avx512 && !std::strcmp(isa, "avx512")) return &table_avx512;
#endif
#if defined(TOKENEXIT_HAVE_AVXVNNI)
  if (processor.avxvnni && !std::strcmp(isa, "avxvnni")) return &table_avxvnni;
#endif
#if defined(TOKENEXIT_HAVE_AVX2)
  if (processor.avx2 && !std::strcmp(isa, "avx2")) return &table_avx2;
#endif
#endif
  return std::strcmp(isa, "portable") ? nullptr : &table_portable;
}

const Table *best() {
  for (const char *isa : {"avx512", "avxvnni", "avx2"})
    if (const Table *found = table_of(isa)) return found;
  return &table_portable;
}

const Table *table = best();

} // namespace
} // namespace tokenexit

using namespace tokenexit;

TOKENEXIT_API int32_t tokenexit_abi() { return TOKENEXIT_ABI; }
TOKENEXIT_API const char *tokenexit_sources() { return TOKENEXIT_SOURCES; }
TOKENEXIT_API const char *tokenexit_isa() { return table->isa; }
TOKENEXIT_API int32_t tokenexit_has(const char *isa) { return table_of(isa) != nullptr; }
// While no kernel runs. Whether the instruction set is there.
TOKENEXIT_API int32_t tokenexit_use(const char *isa) {
  const Table *found = table_of(isa);
  if (found) table = found;
  return found != nullptr;
}
TOKENEXIT_API void tokenexit_set_threads(int32_t count) { set_threads(count); }

#define TOKENEXIT_EXPORT(RESULT, NAME, PARAMETERS, NAMES)                                                    \
  TOKENEXIT_API RESULT tokenexit_##NAME PARAMETERS { return table->NAME NAMES; }
TOKENEXIT_KERNELS(TOKENEXIT_EXPORT)
