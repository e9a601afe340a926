// Four lanes in a 128-bit register.
#ifndef PHSYNC_KERNELS_SSE41_VEC_H_
#define PHSYNC_KERNELS_SSE41_VEC_H_

#include <smmintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "../generic/inline.h"

namespace phsync {
namespace {

struct Vec {
  static constexpr int schedule_lead = 0;
  static constexpr size_t lanes = 4;
  static constexpr size_t constant_copies = lanes;
  __m128i v;

  static PHSYNC_INLINE Vec load(const uint32_t* p) {
    return {_mm_load_si128(reinterpret_cast<const __m128i*>(p))};
  }
  static PHSYNC_INLINE Vec broadcast(uint32_t x) { return {_mm_set1_epi32(static_cast<int>(x))}; }
  static PHSYNC_INLINE Vec constant(const uint32_t* p) { return load(p); }
  PHSYNC_INLINE void store(uint32_t* p) const { _mm_store_si128(reinterpret_cast<__m128i*>(p), v); }
};

PHSYNC_INLINE Vec operator+(Vec a, Vec b) { return {_mm_add_epi32(a.v, b.v)}; }
PHSYNC_INLINE Vec operator^(Vec a, Vec b) { return {_mm_xor_si128(a.v, b.v)}; }
PHSYNC_INLINE Vec xor3(Vec a, Vec b, Vec c) { return a ^ b ^ c; }
PHSYNC_INLINE Vec select(Vec mask, Vec yes, Vec no) {
  return {_mm_xor_si128(no.v, _mm_and_si128(mask.v, _mm_xor_si128(yes.v, no.v)))};
}
PHSYNC_INLINE Vec or_not(Vec a, Vec b) {
  return {_mm_or_si128(a.v, _mm_xor_si128(b.v, _mm_set1_epi32(-1)))};
}

/// Three operations instead of four: a ^ b is the next round's b ^ c.
PHSYNC_INLINE Vec majority(Vec a, Vec b, Vec, Vec& cache) {
  const Vec ab = a ^ b;
  const Vec result = {_mm_xor_si128(b.v, _mm_and_si128(ab.v, cache.v))};
  cache = ab;
  return result;
}

template <int n>
PHSYNC_INLINE Vec rotr(Vec a) {
  return {_mm_or_si128(_mm_srli_epi32(a.v, n), _mm_slli_epi32(a.v, 32 - n))};
}
template <int n>
PHSYNC_INLINE Vec shr(Vec a) {
  return {_mm_srli_epi32(a.v, n)};
}

/// The shifts to either side nested, with two copies of x instead of six: the instructions overwrite their operand.
template <int a, int b, int c>
PHSYNC_INLINE Vec xor_rotr(Vec x) {
  const Vec right = shr<a>(x ^ shr<b - a>(x ^ shr<c - b>(x)));
  const __m128i left = _mm_xor_si128(x.v, _mm_slli_epi32(_mm_xor_si128(x.v, _mm_slli_epi32(x.v, b - a)), c - b));
  return {_mm_xor_si128(right.v, _mm_slli_epi32(left, 32 - c))};
}

}  // namespace
}  // namespace phsync

#endif
