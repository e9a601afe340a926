// Eight lanes in a 256-bit register.
#ifndef PHSYNC_KERNELS_AVX2_VEC_H_
#define PHSYNC_KERNELS_AVX2_VEC_H_

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "../generic/inline.h"

namespace phsync {
namespace {

struct Vec {
  static constexpr int schedule_lead = 0;
  static constexpr size_t lanes = 8;
  static constexpr size_t constant_copies = lanes;
  __m256i v;

  static PHSYNC_INLINE Vec load(const uint32_t* p) {
    return {_mm256_load_si256(reinterpret_cast<const __m256i*>(p))};
  }
  static PHSYNC_INLINE Vec broadcast(uint32_t x) { return {_mm256_set1_epi32(static_cast<int>(x))}; }
  static PHSYNC_INLINE Vec constant(const uint32_t* p) { return load(p); }
  PHSYNC_INLINE void store(uint32_t* p) const { _mm256_store_si256(reinterpret_cast<__m256i*>(p), v); }
};

PHSYNC_INLINE Vec operator+(Vec a, Vec b) { return {_mm256_add_epi32(a.v, b.v)}; }
PHSYNC_INLINE Vec operator^(Vec a, Vec b) { return {_mm256_xor_si256(a.v, b.v)}; }
PHSYNC_INLINE Vec xor3(Vec a, Vec b, Vec c) { return a ^ b ^ c; }
PHSYNC_INLINE Vec select(Vec mask, Vec yes, Vec no) {
  return {_mm256_xor_si256(no.v, _mm256_and_si256(mask.v, _mm256_xor_si256(yes.v, no.v)))};
}
PHSYNC_INLINE Vec or_not(Vec a, Vec b) {
  return {_mm256_or_si256(a.v, _mm256_xor_si256(b.v, _mm256_set1_epi32(-1)))};
}

/// Three operations instead of four: a ^ b is the next round's b ^ c.
PHSYNC_INLINE Vec majority(Vec a, Vec b, Vec, Vec& cache) {
  const Vec ab = a ^ b;
  const Vec result = {_mm256_xor_si256(b.v, _mm256_and_si256(ab.v, cache.v))};
  cache = ab;
  return result;
}

template <int n>
PHSYNC_INLINE Vec rotr(Vec a) {
  return {_mm256_or_si256(_mm256_srli_epi32(a.v, n), _mm256_slli_epi32(a.v, 32 - n))};
}
template <int n>
PHSYNC_INLINE Vec shr(Vec a) {
  return {_mm256_srli_epi32(a.v, n)};
}

}  // namespace
}  // namespace phsync

#endif
