// RFC 1321, section 3.4: the MD5 compression function over the lanes of a Vec.
#ifndef PHSYNC_KERNELS_GENERIC_MD5_H_
#define PHSYNC_KERNELS_GENERIC_MD5_H_

#include "blocks.h"

namespace phsync {
namespace {

// floor(2^32 * abs(sin(i + 1)))
constexpr uint32_t kMd5Constants[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};
constexpr int kMd5Shifts[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
constexpr int kMd5Stride[4] = {1, 5, 3, 7};
constexpr int kMd5Start[4] = {0, 1, 5, 0};

template <class V, int t>
PHSYNC_INLINE void md5_step(V* s, const V* w) {
  constexpr int round = t / 16;
  V& a = s[(64 - t) & 3];
  const V b = s[(64 - t + 1) & 3];
  const V c = s[(64 - t + 2) & 3];
  const V d = s[(64 - t + 3) & 3];
  V sum = a + V::broadcast(kMd5Constants[t]) + w[(kMd5Start[round] + kMd5Stride[round] * t) % 16];
  if constexpr (round == 0) {
    sum = sum + select(b, c, d);
  } else if constexpr (round == 1) {
    sum = sum + select(d, b, c);
  } else if constexpr (round == 2) {
    sum = sum + xor3(b, c, d);
  } else {
    sum = sum + (c ^ or_not(b, d));
  }
  a = b + rotr<32 - kMd5Shifts[round][t % 4]>(sum);
}

template <class V, int t>
PHSYNC_INLINE void md5_steps(V* s, const V* w) {
  if constexpr (t < 64) {
    md5_step<V, t>(s, w);
    md5_steps<V, t + 1>(s, w);
  }
}

template <class V>
void md5_compress(uint32_t* state, const uint8_t* const* blocks, size_t count) {
  alignas(64) uint32_t scratch[16][V::lanes];
  V chain[4];
  for (size_t i = 0; i < 4; i++) chain[i] = V::load(state + i * V::lanes);
  for (size_t index = 0; index < count; index++) {
    V w[16];
    load_block<V, false>(w, blocks, index, scratch);
    V s[4] = {chain[0], chain[1], chain[2], chain[3]};
    md5_steps<V, 0>(s, w);
    for (size_t i = 0; i < 4; i++) chain[i] = chain[i] + s[i];
  }
  for (size_t i = 0; i < 4; i++) chain[i].store(state + i * V::lanes);
  wipe(scratch, sizeof scratch);
}

}  // namespace
}  // namespace phsync

#endif
