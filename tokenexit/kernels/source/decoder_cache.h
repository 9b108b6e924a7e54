// Blocks of the cache: who has which, and copies of sequences that share what they can.
#pragma once
#include "decoder_model.h"
#include "vec.h"

namespace tokenexit {
namespace TOKENEXIT_ISA {

// Numbers in the keys or values of a head in one block, and of all heads.
inline size_t head_size(const DecoderModel &m) { return at(round_up(m.head_size, LANES), BLOCK); }
inline size_t block_size(const DecoderModel &m) { return head_size(m) * static_cast<size_t>(m.heads); }

// Keys or values of one block in one layer, of the many that lie there.
template <class T> TX_INLINE T *block_of(const DecoderModel &m, void *all, int blocks, int layer, int block) {
  return static_cast<T *>(all) + at(layer * blocks + block, block_size(m));
}

inline int block_at(const DecoderCache &c, int row, int place) {
  return c.table[size_t(row) * c.reach + place / BLOCK];
}

inline float *state_at(const DecoderModel &m, const DecoderCache &c, int row, int place) {
  return c.states + (size_t(block_at(c, row, place)) * BLOCK + place % BLOCK) * m.hidden;
}

inline void release(DecoderCache &c, int block) {
  if (block >= 0 && --c.users[block] == 0) c.stack[c.unused++] = block;
}

// A block that nobody else has, with what was in this one.
inline int own_block(const DecoderModel &m, DecoderCache &c, int block) {
  const int fresh = c.stack[--c.unused];
  const size_t bytes = block_size(m) * (m.narrow ? 2 : 4), states = static_cast<size_t>(BLOCK) * m.hidden;
  void *const all[] = {c.keys, c.values};
  for (void *each : all)
    for (int l = 0; l < m.layers; ++l) {
      char *first = static_cast<char *>(each) + at(l * c.blocks, bytes);
      std::memcpy(first + at(fresh, bytes), first + at(block, bytes), bytes);
    }
  std::memcpy(c.states + at(fresh, states), c.states + at(block, states), sizeof(float) * states);
  --c.users[block];
  c.users[fresh] = 1;
  return fresh;
}

// Open the next place for some sequences, in blocks of their own. False where there is no room.
inline bool cache_open(const DecoderModel &m, DecoderCache &c, const int32_t *rows, int count) {
  const int here = c.length / BLOCK;
  if (here >= c.reach) return false;
  int wanted = 0;
  for (int i = 0; i < count; ++i) {
    const int32_t block = c.table[at(rows[i], c.reach) + here];
    wanted += block < 0 || c.users[block] > 1;
  }
  if (c.unused < wanted) return false;
  for (int i = 0; i < count; ++i) {
    int32_t &block = c.table[at(rows[i], c.reach) + here];
    if (block < 0) c.users[block = c.stack[--c.unused]] = 1;
    else if (c.users[block] > 1) block = own_block(m, c, block);
  }
  ++c.length;
  return true;
}

// Sequences give back their blocks from one on.
inline void cache_drop(DecoderCache &c, const int32_t *rows, int count, int from) {
  for (int i = 0; i < count; ++i) {
    int32_t *blocks = c.table + at(rows[i], c.reach);
    for (int b = from; b < c.reach; ++b) {
      release(c, blocks[b]);
      blocks[b] = -1;
    }
  }
}

// Every sequence becomes a copy of another, [count]: blocks and filled take the place of the arrays
// that were. Blocks are shared: whoever fills a layer of one writes what the others would. Only
// where pending tokens go on by themselves (apart) each needs those it has of its own; then false
// where there is no room.
inline bool cache_keep(const DecoderModel &m, DecoderCache &c, const int32_t *from, int count, int32_t *blocks,
                       int32_t *filled, int apart) {
  const int used = (c.length + BLOCK - 1) / BLOCK;
  if (apart && c.unused < count * used) return false;
  for (int i = 0; i < count; ++i) {
    const int32_t *old = c.table + at(from[i], c.reach);
    std::memcpy(filled + at(i, m.layers), c.filled + at(from[i], m.layers), sizeof(int32_t) * m.layers);
    for (int b = 0; b < c.reach; ++b) {
      blocks[at(i, c.reach) + b] = old[b];
      if (old[b] >= 0) ++c.users[old[b]];
    }
  }
  for (int r = 0; r < c.rows; ++r)
    for (int b = 0; b < c.reach; ++b) release(c, c.table[at(r, c.reach) + b]);
  for (int i = 0; apart && i < count; ++i)
    for (int b = filled[at(i, m.layers) + m.layers - 1] / BLOCK; b < used; ++b) {
      int32_t &block = blocks[at(i, c.reach) + b];
      if (block >= 0 && c.users[block] > 1) block = own_block(m, c, block);
    }
  return true;
}

} // namespace TOKENEXIT_ISA
} // namespace tokenexit
