// A stack of blocks for each thread. A pointer stays valid until its mark is released.
#define TOKENEXIT_ISA shared
#include "scratch.h"
#include <cstdlib>
#include <new>

namespace tokenexit {
namespace {

constexpr size_t ALIGN = 64, FIRST = 1 << 18;

struct Block {
  Block *below;
  size_t base, size, used; // base: bytes in all blocks below
  char *data;
};

struct Stack {
  Block *top = nullptr;
  ~Stack() {
    while (top) pop();
  }
  void push(size_t size) {
    char *raw = static_cast<char *>(std::malloc(size + sizeof(Block) + ALIGN));
    if (!raw) throw std::bad_alloc();
    Block *block = new (raw) Block;
    const size_t data = (reinterpret_cast<size_t>(raw + sizeof(Block)) + ALIGN - 1) / ALIGN * ALIGN;
    *block = {top, top ? top->base + top->size : 0, size, 0, reinterpret_cast<char *>(data)};
    top = block;
  }
  void pop() {
    Block *below = top->below;
    std::free(top);
    top = below;
  }
};

thread_local Stack stack;

} // namespace

void *scratch_take(size_t bytes) {
  const size_t need = (bytes + ALIGN - 1) / ALIGN * ALIGN + ALIGN; // two arrays never share a line
  Block *top = stack.top;
  if (!top || top->used + need > top->size) {
    const size_t twice = top ? 2 * top->size : FIRST;
    stack.push(need > twice ? need : twice);
    top = stack.top;
  }
  void *p = top->data + top->used;
  top->used += need;
  return p;
}

size_t scratch_mark() { return stack.top ? stack.top->base + stack.top->used : 0; }

void scratch_release(size_t mark) {
  // The topmost block stays, so that the next call of this kind finds one that is large enough.
  Block *top = stack.top;
  if (!top) return;
  if (mark >= top->base) {
    top->used = mark - top->base;
    return;
  }
  while (top->below && mark <= top->below->base) { // blocks that nobody uses any more
    Block *below = top->below;
    top->below = below->below;
    std::free(below);
  }
  if (!top->below) {
    top->base = 0;
    top->used = 0;
    return;
  }
  top->below->used = mark - top->below->base;
  top->used = 0;
}

} // namespace tokenexit
