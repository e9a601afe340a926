// Message words and states between memory and lanes, for any Vec.
//
// A Vec offers: lanes, schedule_lead (sha256.h), load(const uint32_t*), store(uint32_t*), broadcast(uint32_t),
// operator+, operator^, rotr<n>, shr<n>, xor3, select(mask, yes, no), or_not(a, b) = a | ~b, and
// majority(a, b, c, cache) as sha256.h explains; where PBKDF2's rounds run in a loop also constant(const uint32_t*), the
// broadcast of a constant that stands in memory constant_copies times. Include it first: everything here lives in the
// including file's anonymous namespace.
#ifndef PHSYNC_KERNELS_GENERIC_BLOCKS_H_
#define PHSYNC_KERNELS_GENERIC_BLOCKS_H_

#include <stddef.h>
#include <stdint.h>

#include "inline.h"
#include "wipe.h"

namespace phsync {
namespace {

PHSYNC_INLINE uint32_t load32le(const uint8_t* p) {
  return static_cast<uint32_t>(p[0]) | static_cast<uint32_t>(p[1]) << 8 | static_cast<uint32_t>(p[2]) << 16 |
         static_cast<uint32_t>(p[3]) << 24;
}

PHSYNC_INLINE uint32_t load32be(const uint8_t* p) {
  return static_cast<uint32_t>(p[0]) << 24 | static_cast<uint32_t>(p[1]) << 16 | static_cast<uint32_t>(p[2]) << 8 |
         static_cast<uint32_t>(p[3]);
}

/// The 16 words of block `index` of every lane. The words pass through `scratch`, which the caller wipes.
template <class V, bool kBigEndian>
PHSYNC_INLINE void load_block(V* w, const uint8_t* const* blocks, size_t index, uint32_t (*scratch)[V::lanes]) {
  for (size_t lane = 0; lane < V::lanes; lane++) {
    const uint8_t* block = blocks[lane] + index * 64;
    for (size_t i = 0; i < 16; i++) scratch[i][lane] = kBigEndian ? load32be(block + 4 * i) : load32le(block + 4 * i);
  }
  for (size_t i = 0; i < 16; i++) w[i] = V::load(scratch[i]);
}

}  // namespace
}  // namespace phsync

#endif
