// Stands before the compiler's header of this name where the avx512 kernel is built without AVX-512: a model of the
// instructions that the kernel uses, after the pseudocode of the Intel SDM, volume 2.
#ifndef PHSYNC_TEST_MODEL_AVX512_IMMINTRIN_H_
#define PHSYNC_TEST_MODEL_AVX512_IMMINTRIN_H_

#include <stdint.h>

struct alignas(64) __m512i {
  uint32_t words[16];
};

namespace phsync {
namespace {

using ModelZmm = const __m512i&;

template <class Word>
inline __m512i model_each(Word word) {
  __m512i to;
  for (int i = 0; i < 16; i++) to.words[i] = word(i);
  return to;
}

inline __m512i model_set1(uint32_t word) {
  return model_each([&](int) { return word; });
}
inline __m512i model_add(ModelZmm a, ModelZmm b) {
  return model_each([&](int i) { return a.words[i] + b.words[i]; });
}
inline __m512i model_xor(ModelZmm a, ModelZmm b) {
  return model_each([&](int i) { return a.words[i] ^ b.words[i]; });
}
inline __m512i model_srl(ModelZmm a, int n) {
  return model_each([&](int i) { return a.words[i] >> n; });
}
inline __m512i model_ror(ModelZmm a, int n) {
  return model_each([&](int i) { return a.words[i] >> n | a.words[i] << (32 - n); });
}

/// VPTERNLOGD: of each bit, bit 4 a + 2 b + c of the immediate.
template <int imm>
inline __m512i model_ternarylogic(ModelZmm a, ModelZmm b, ModelZmm c) {
  return model_each([&](int i) {
    const uint32_t x = a.words[i], y = b.words[i], z = c.words[i];
    uint32_t result = 0;
    for (int k = 0; k < 8; k++) {
      if ((imm >> k & 1) != 0) result |= ((k & 4) != 0 ? x : ~x) & ((k & 2) != 0 ? y : ~y) & ((k & 1) != 0 ? z : ~z);
    }
    return result;
  });
}

}  // namespace
}  // namespace phsync

#define _mm512_load_si512(p) (*reinterpret_cast<const __m512i*>(p))
#define _mm512_store_si512(p, a) (void)(*reinterpret_cast<__m512i*>(p) = (a))
#define _mm512_set1_epi32(word) phsync::model_set1(static_cast<uint32_t>(word))
#define _mm512_add_epi32(a, b) phsync::model_add(a, b)
#define _mm512_xor_si512(a, b) phsync::model_xor(a, b)
#define _mm512_srli_epi32(a, n) phsync::model_srl(a, n)
#define _mm512_ror_epi32(a, n) phsync::model_ror(a, n)
#define _mm512_ternarylogic_epi32(a, b, c, imm) phsync::model_ternarylogic<imm>(a, b, c)

#endif
