// Calls every kernel with random shapes on every instruction set that there is. A new kernel gets a function in a fuzz_*.h, and a line here.
#include "fuzz_decoder.h"
#include "fuzz_encoder.h"
#include "fuzz_rows.h"

int main(int count, char **arguments) {
  const int rounds = count > 1 ? std::atoi(arguments[1]) : 100;
  void (*const all[])(fuzz::Random &) = {
      fuzz::linear,
      fuzz::rows,
      fuzz::attention,
      fuzz::watch,
      fuzz::encoder_rule,
      fuzz::encoder_steps,
      fuzz::decoder_greedy,
      fuzz::decoder_steps,
      fuzz::decoder_layers,
  };
  int sets = 0;
  for (const char *isa : {"avx512", "avxvnni", "avx2", "portable"}) {
    if (!tokenexit_use(isa)) continue;
    ++sets;
    uint64_t seed = 0;
    for (int round = 0; round < rounds; ++round)
      for (auto *one : all) {
        fuzz::Random random(++seed);
        one(random);
      }
  }
  std::printf("%d instruction sets, %zu kernels\n", sets, sizeof(all) / sizeof(*all));
}
