// Sixteen lanes in a 512-bit register: rotations and three-input logic are one instruction each.
#ifndef PHSYNC_KERNELS_AVX512_VEC_H_
#define PHSYNC_KERNELS_AVX512_VEC_H_

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "../generic/inline.h"

namespace phsync {
namespace {

struct Vec {
  static constexpr int schedule_lead = 10;
  static constexpr size_t lanes = 16;
  /// One: additions broadcast their memory operand by themselves.
  static constexpr size_t constant_copies = 1;
  __m512i v;

  static PHSYNC_INLINE Vec load(const uint32_t* p) { return {_mm512_load_si512(p)}; }
  static PHSYNC_INLINE Vec broadcast(uint32_t x) { return {_mm512_set1_epi32(static_cast<int>(x))}; }
  static PHSYNC_INLINE Vec constant(const uint32_t* p) { return broadcast(*p); }
  PHSYNC_INLINE void store(uint32_t* p) const { _mm512_store_si512(p, v); }
};

PHSYNC_INLINE Vec operator+(Vec a, Vec b) { return {_mm512_add_epi32(a.v, b.v)}; }
PHSYNC_INLINE Vec operator^(Vec a, Vec b) { return {_mm512_xor_si512(a.v, b.v)}; }

// The immediate of vpternlogd is the truth table of (first, second, third) = 111, 110, … 000.
PHSYNC_INLINE Vec xor3(Vec a, Vec b, Vec c) { return {_mm512_ternarylogic_epi32(a.v, b.v, c.v, 0x96)}; }
PHSYNC_INLINE Vec select(Vec mask, Vec yes, Vec no) {
  return {_mm512_ternarylogic_epi32(mask.v, yes.v, no.v, 0xca)};
}
PHSYNC_INLINE Vec or_not(Vec a, Vec b) { return {_mm512_ternarylogic_epi32(a.v, b.v, b.v, 0xf3)}; }
PHSYNC_INLINE Vec majority(Vec a, Vec b, Vec c, Vec&) {
  return {_mm512_ternarylogic_epi32(a.v, b.v, c.v, 0xe8)};
}

template <int n>
PHSYNC_INLINE Vec rotr(Vec a) {
  return {_mm512_ror_epi32(a.v, n)};
}
template <int n>
PHSYNC_INLINE Vec shr(Vec a) {
  return {_mm512_srli_epi32(a.v, n)};
}

}  // namespace
}  // namespace phsync

#endif
