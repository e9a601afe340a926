// Two vectors as one Vec of twice the lanes: two independent instruction streams for CPUs whose vector instructions
// take longer than one cycle, so that one stream alone cannot fill the ports.
#ifndef PHSYNC_KERNELS_GENERIC_PAIR_H_
#define PHSYNC_KERNELS_GENERIC_PAIR_H_

#include <stddef.h>
#include <stdint.h>

#include "inline.h"

namespace phsync {
namespace {

struct Pair {
  static constexpr int schedule_lead = Vec::schedule_lead;
  static constexpr size_t lanes = 2 * Vec::lanes;
  static constexpr size_t constant_copies = Vec::constant_copies;
  Vec x, y;

  static PHSYNC_INLINE Pair load(const uint32_t* p) { return {Vec::load(p), Vec::load(p + Vec::lanes)}; }
  static PHSYNC_INLINE Pair broadcast(uint32_t n) { return {Vec::broadcast(n), Vec::broadcast(n)}; }
  static PHSYNC_INLINE Pair constant(const uint32_t* p) { return {Vec::constant(p), Vec::constant(p)}; }
  PHSYNC_INLINE void store(uint32_t* p) const {
    x.store(p);
    y.store(p + Vec::lanes);
  }
};

PHSYNC_INLINE Pair operator+(Pair a, Pair b) { return {a.x + b.x, a.y + b.y}; }
PHSYNC_INLINE Pair operator^(Pair a, Pair b) { return {a.x ^ b.x, a.y ^ b.y}; }
PHSYNC_INLINE Pair xor3(Pair a, Pair b, Pair c) { return {xor3(a.x, b.x, c.x), xor3(a.y, b.y, c.y)}; }
PHSYNC_INLINE Pair select(Pair mask, Pair yes, Pair no) {
  return {select(mask.x, yes.x, no.x), select(mask.y, yes.y, no.y)};
}
PHSYNC_INLINE Pair majority(Pair a, Pair b, Pair c, Pair& cache) {
  return {majority(a.x, b.x, c.x, cache.x), majority(a.y, b.y, c.y, cache.y)};
}
template <int n>
PHSYNC_INLINE Pair rotr(Pair a) {
  return {rotr<n>(a.x), rotr<n>(a.y)};
}
template <int n>
PHSYNC_INLINE Pair shr(Pair a) {
  return {shr<n>(a.x), shr<n>(a.y)};
}

}  // namespace
}  // namespace phsync

#endif
