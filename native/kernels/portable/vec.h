// One lane in plain C++: the truth that the other Vecs are compared with.
#ifndef PHSYNC_KERNELS_PORTABLE_VEC_H_
#define PHSYNC_KERNELS_PORTABLE_VEC_H_

#include <stddef.h>
#include <stdint.h>

#include "../generic/inline.h"

namespace phsync {
namespace {

struct Vec {
  static constexpr int schedule_lead = 0;
  static constexpr size_t lanes = 1;
  uint32_t v;

  static PHSYNC_INLINE Vec load(const uint32_t* p) { return {*p}; }
  static PHSYNC_INLINE Vec broadcast(uint32_t x) { return {x}; }
  PHSYNC_INLINE void store(uint32_t* p) const { *p = v; }
};

PHSYNC_INLINE Vec operator+(Vec a, Vec b) { return {a.v + b.v}; }
PHSYNC_INLINE Vec operator^(Vec a, Vec b) { return {a.v ^ b.v}; }
PHSYNC_INLINE Vec xor3(Vec a, Vec b, Vec c) { return {a.v ^ b.v ^ c.v}; }
PHSYNC_INLINE Vec select(Vec mask, Vec yes, Vec no) { return {no.v ^ (mask.v & (yes.v ^ no.v))}; }
PHSYNC_INLINE Vec or_not(Vec a, Vec b) { return {a.v | ~b.v}; }

PHSYNC_INLINE Vec majority(Vec a, Vec b, Vec, Vec& cache) {
  const uint32_t ab = a.v ^ b.v;
  const Vec result = {b.v ^ (ab & cache.v)};
  cache.v = ab;
  return result;
}

template <int n>
PHSYNC_INLINE Vec rotr(Vec a) {
  return {a.v >> n | a.v << (32 - n)};
}
template <int n>
PHSYNC_INLINE Vec shr(Vec a) {
  return {a.v >> n};
}

}  // namespace
}  // namespace phsync

#endif
