// RFC 1320, section 3.4: the MD4 compression function over the lanes of a Vec.
#ifndef PHSYNC_KERNELS_GENERIC_MD4_H_
#define PHSYNC_KERNELS_GENERIC_MD4_H_

#include "blocks.h"

namespace phsync {
namespace {

constexpr int kMd4Order[3][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15},
    {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15},
};
constexpr int kMd4Shifts[3][4] = {{3, 7, 11, 19}, {3, 5, 9, 13}, {3, 9, 11, 15}};
constexpr uint32_t kMd4Constants[3] = {0, 0x5a827999, 0x6ed9eba1};

template <class V, int t>
PHSYNC_INLINE void md4_step(V* s, const V* w) {
  constexpr int round = t / 16;
  V& a = s[(16 * 3 - t) & 3];
  const V b = s[(16 * 3 - t + 1) & 3];
  const V c = s[(16 * 3 - t + 2) & 3];
  const V d = s[(16 * 3 - t + 3) & 3];
  V sum = a + w[kMd4Order[round][t % 16]];
  if constexpr (round == 0) {
    sum = sum + select(b, c, d);
  } else {
    sum = sum + V::broadcast(kMd4Constants[round]);
    if constexpr (round == 1) {
      V cache = c ^ d;
      sum = sum + majority(b, c, d, cache);
    } else {
      sum = sum + xor3(b, c, d);
    }
  }
  a = rotr<32 - kMd4Shifts[round][t % 4]>(sum);
}

template <class V, int t>
PHSYNC_INLINE void md4_steps(V* s, const V* w) {
  if constexpr (t < 48) {
    md4_step<V, t>(s, w);
    md4_steps<V, t + 1>(s, w);
  }
}

template <class V>
void md4_compress(uint32_t* state, const uint8_t* const* blocks, size_t count) {
  alignas(64) uint32_t scratch[16][V::lanes];
  V chain[4];
  for (size_t i = 0; i < 4; i++) chain[i] = V::load(state + i * V::lanes);
  for (size_t index = 0; index < count; index++) {
    V w[16];
    load_block<V, false>(w, blocks, index, scratch);
    V s[4] = {chain[0], chain[1], chain[2], chain[3]};
    md4_steps<V, 0>(s, w);
    for (size_t i = 0; i < 4; i++) chain[i] = chain[i] + s[i];
  }
  for (size_t i = 0; i < 4; i++) chain[i].store(state + i * V::lanes);
  wipe(scratch, sizeof scratch);
}

}  // namespace
}  // namespace phsync

#endif
