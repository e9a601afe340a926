// Four lanes in a 128-bit register of AArch64's Advanced SIMD.
#ifndef PHSYNC_KERNELS_NEON_VEC_H_
#define PHSYNC_KERNELS_NEON_VEC_H_

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#include "../generic/inline.h"

namespace phsync {
namespace {

struct Vec {
  static constexpr int schedule_lead = 0;
  static constexpr size_t lanes = 4;
  uint32x4_t v;

  static PHSYNC_INLINE Vec load(const uint32_t* p) { return {vld1q_u32(p)}; }
  static PHSYNC_INLINE Vec broadcast(uint32_t x) { return {vdupq_n_u32(x)}; }
  PHSYNC_INLINE void store(uint32_t* p) const { vst1q_u32(p, v); }
};

PHSYNC_INLINE Vec operator+(Vec a, Vec b) { return {vaddq_u32(a.v, b.v)}; }
PHSYNC_INLINE Vec operator^(Vec a, Vec b) { return {veorq_u32(a.v, b.v)}; }
PHSYNC_INLINE Vec xor3(Vec a, Vec b, Vec c) { return a ^ b ^ c; }
PHSYNC_INLINE Vec select(Vec mask, Vec yes, Vec no) { return {vbslq_u32(mask.v, yes.v, no.v)}; }
PHSYNC_INLINE Vec or_not(Vec a, Vec b) { return {vornq_u32(a.v, b.v)}; }

/// Two operations instead of three: a ^ b is the next round's b ^ c. Where a and b differ, c has the casting vote.
PHSYNC_INLINE Vec majority(Vec a, Vec b, Vec c, Vec& cache) {
  const Vec ab = a ^ b;
  cache = ab;
  return select(ab, c, b);
}

/// No rotation in the base of ARMv8: shift left, then shift right and insert.
template <int n>
PHSYNC_INLINE Vec rotr(Vec a) {
  return {vsriq_n_u32(vshlq_n_u32(a.v, 32 - n), a.v, n)};
}
template <int n>
PHSYNC_INLINE Vec shr(Vec a) {
  return {vshrq_n_u32(a.v, n)};
}

}  // namespace
}  // namespace phsync

#endif
