// A model of the three SHA-256 instructions of x86, after the pseudocode of the Intel SDM, volume 2B: for the shani
// kernel's tests on CPUs without them.
#ifndef PHSYNC_TEST_MODEL_SHA_NI_H_
#define PHSYNC_TEST_MODEL_SHA_NI_H_

#include <emmintrin.h>
#include <stdint.h>
#include <string.h>

namespace phsync {
namespace {

/// words[i] is bits 32 i to 32 i + 31.
struct ModelRegister {
  uint32_t words[4];

  explicit ModelRegister(__m128i from) { memcpy(words, &from, sizeof words); }
  ModelRegister(uint32_t w3, uint32_t w2, uint32_t w1, uint32_t w0) : words{w0, w1, w2, w3} {}
  __m128i vector() const {
    __m128i to;
    memcpy(&to, words, sizeof words);
    return to;
  }
};

inline uint32_t model_rotr(uint32_t x, int n) { return x >> n | x << (32 - n); }
inline uint32_t model_sigma0(uint32_t x) { return model_rotr(x, 7) ^ model_rotr(x, 18) ^ x >> 3; }
inline uint32_t model_sigma1(uint32_t x) { return model_rotr(x, 17) ^ model_rotr(x, 19) ^ x >> 10; }

/// SHA256RNDS2: two rounds; SRC1 is C D G H, SRC2 is A B E F, from the highest word to the lowest.
inline __m128i model_sha256rnds2(__m128i source1, __m128i source2, __m128i xmm0) {
  const ModelRegister src1(source1), src2(source2), wk(xmm0);
  uint32_t a = src2.words[3], b = src2.words[2], c = src1.words[3], d = src1.words[2];
  uint32_t e = src2.words[1], f = src2.words[0], g = src1.words[1], h = src1.words[0];
  for (int i = 0; i < 2; i++) {
    const uint32_t ch = (e & f) ^ (~e & g);
    const uint32_t maj = (a & b) ^ (a & c) ^ (b & c);
    const uint32_t big_sigma0 = model_rotr(a, 2) ^ model_rotr(a, 13) ^ model_rotr(a, 22);
    const uint32_t big_sigma1 = model_rotr(e, 6) ^ model_rotr(e, 11) ^ model_rotr(e, 25);
    const uint32_t t1 = ch + big_sigma1 + wk.words[i] + h;
    h = g;
    g = f;
    f = e;
    e = t1 + d;
    d = c;
    c = b;
    b = a;
    a = t1 + maj + big_sigma0;
  }
  return ModelRegister(a, b, e, f).vector();
}

/// SHA256MSG1.
inline __m128i model_sha256msg1(__m128i source1, __m128i source2) {
  const ModelRegister src1(source1), src2(source2);
  const uint32_t w4 = src2.words[0];
  const uint32_t w3 = src1.words[3], w2 = src1.words[2], w1 = src1.words[1], w0 = src1.words[0];
  return ModelRegister(w3 + model_sigma0(w4), w2 + model_sigma0(w3), w1 + model_sigma0(w2), w0 + model_sigma0(w1))
      .vector();
}

/// SHA256MSG2.
inline __m128i model_sha256msg2(__m128i source1, __m128i source2) {
  const ModelRegister src1(source1), src2(source2);
  const uint32_t w14 = src2.words[2], w15 = src2.words[3];
  const uint32_t w16 = src1.words[0] + model_sigma1(w14);
  const uint32_t w17 = src1.words[1] + model_sigma1(w15);
  const uint32_t w18 = src1.words[2] + model_sigma1(w16);
  const uint32_t w19 = src1.words[3] + model_sigma1(w17);
  return ModelRegister(w19, w18, w17, w16).vector();
}

}  // namespace
}  // namespace phsync

#endif
