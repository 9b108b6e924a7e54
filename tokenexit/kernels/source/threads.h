// A small pool of threads. What is computed does not depend on how many there are.
#pragma once
#include <cstddef>

namespace tokenexit {

void set_threads(int count);
int threads(); // for this caller: 1 inside of a parallel loop

// body(context, i) for each i of 0 .. count - 1, in any order; returns when all are done.
void parallel_loop(int count, void (*body)(void *, int), void *context);

namespace TOKENEXIT_ISA {

template <class Body> static void parallel_for(int count, const Body &body) {
  if (count <= 1 || threads() <= 1) {
    for (int i = 0; i < count; ++i) body(i);
    return;
  }
  const auto call = [](void *context, int i) { (*static_cast<const Body *>(context))(i); };
  parallel_loop(count, call, const_cast<Body *>(&body));
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
