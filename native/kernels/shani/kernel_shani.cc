// SHA-256 and PBKDF2-HMAC-SHA256 on the SHA extensions (Intel SDM volume 2B, SHA256RNDS2), one message per stream.
//
// No Vec here: the instructions work along one message. sha256rnds2 takes 4 cycles and can start every 2 (Zen 5), so a
// single message leaves half of it idle; PBKDF2 runs up to 8 messages side by side.
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "../generic/inline.h"
#include "../generic/sha256_constants.h"
#include "../generic/wipe.h"
#include "../kernels.h"

namespace phsync {
namespace {


/// The state as sha256rnds2 wants it, high to low.
struct State {
  __m128i abef, cdgh;
};

PHSYNC_INLINE __m128i constants(int quad) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(kSha256K + 4 * quad));
}

/// `words` are a … h, `stride` apart.
PHSYNC_INLINE State load_state(const uint32_t* words, size_t stride) {
  const auto word = [&](size_t i) { return static_cast<int>(words[i * stride]); };
  return {_mm_set_epi32(word(0), word(1), word(4), word(5)), _mm_set_epi32(word(2), word(3), word(6), word(7))};
}

/// a b c d and e f g h, low to high.
PHSYNC_INLINE void to_words(const State& s, __m128i* w) {
  const __m128 abef = _mm_castsi128_ps(s.abef);
  const __m128 cdgh = _mm_castsi128_ps(s.cdgh);
  w[0] = _mm_castps_si128(_mm_shuffle_ps(abef, cdgh, _MM_SHUFFLE(2, 3, 2, 3)));
  w[1] = _mm_castps_si128(_mm_shuffle_ps(abef, cdgh, _MM_SHUFFLE(0, 1, 0, 1)));
}

/// Four rounds over W + K.
PHSYNC_INLINE void four_rounds(State& s, __m128i wk) {
  s.cdgh = _mm_sha256rnds2_epu32(s.cdgh, s.abef, wk);
  s.abef = _mm_sha256rnds2_epu32(s.abef, s.cdgh, _mm_shuffle_epi32(wk, 0x0e));
}

/// W_4q … W_(4q + 3), q >= 4, replace the four words that stand 16 before them.
PHSYNC_INLINE void schedule_quad(__m128i* w, int quad) {
  const __m128i last = w[(quad + 3) & 3];
  const __m128i minus7 = _mm_alignr_epi8(last, w[(quad + 2) & 3], 4);
  const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w[quad & 3], w[(quad + 1) & 3]), minus7);
  w[quad & 3] = _mm_sha256msg2_epu32(sum, last);
}

template <int quad, size_t streams>
PHSYNC_INLINE void quads(State* s, __m128i (*w)[4]) {
  if constexpr (quad < 16) {
    for (size_t k = 0; k < streams; k++) {
      if constexpr (quad >= 4) schedule_quad(w[k], quad);
      four_rounds(s[k], _mm_add_epi32(w[k][quad & 3], constants(quad)));
    }
    quads<quad + 1, streams>(s, w);
  }
}

PHSYNC_INLINE void add(State& s, const State& to) {
  s.abef = _mm_add_epi32(s.abef, to.abef);
  s.cdgh = _mm_add_epi32(s.cdgh, to.cdgh);
}

void sha256_compress_shani(uint32_t* state, const uint8_t* const* blocks, size_t count) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  State chain = load_state(state, 1);
  for (size_t index = 0; index < count; index++) {
    const __m128i* block = reinterpret_cast<const __m128i*>(blocks[0] + index * kBlockSize);
    __m128i w[1][4];
    for (size_t i = 0; i < 4; i++) w[0][i] = _mm_shuffle_epi8(_mm_loadu_si128(block + i), big_endian);
    State s = chain;
    quads<0, 1>(&s, w);
    add(s, chain);
    chain = s;
  }
  __m128i words[2];
  to_words(chain, words);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state), words[0]);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state + 4), words[1]);
}

template <size_t streams>
void pbkdf2_rounds_shani(const uint32_t* inner, const uint32_t* outer, uint32_t* u, uint32_t* t, uint32_t rounds) {
  constexpr size_t stride = lane_stride(streams);
  State midstates[2][streams];
  State s[streams];
  __m128i w[streams][4];
  __m128i sum[streams][2];
  for (size_t k = 0; k < streams; k++) {
    midstates[0][k] = load_state(inner + k, stride);
    midstates[1][k] = load_state(outer + k, stride);
    to_words(load_state(u + k, stride), w[k]);
    sum[k][0] = w[k][0];
    sum[k][1] = w[k][1];
  }
  for (uint64_t half = 0; half < uint64_t{2} * rounds; half++) {
    const State* m = midstates[half & 1];
    for (size_t k = 0; k < streams; k++) {
      s[k] = m[k];
      w[k][2] = _mm_set_epi32(0, 0, 0, static_cast<int>(DigestBlock::word(8)));
      w[k][3] = _mm_set_epi32(static_cast<int>(DigestBlock::word(15)), 0, 0, 0);
    }
    quads<0, streams>(s, w);
    for (size_t k = 0; k < streams; k++) {
      add(s[k], m[k]);
      to_words(s[k], w[k]);
    }
    if ((half & 1) == 0) continue;
    for (size_t k = 0; k < streams; k++) {
      for (size_t i = 0; i < 2; i++) sum[k][i] = _mm_xor_si128(sum[k][i], w[k][i]);
    }
  }
  for (size_t k = 0; k < streams; k++) {
    alignas(16) uint32_t words[8];
    _mm_store_si128(reinterpret_cast<__m128i*>(words), sum[k][0]);
    _mm_store_si128(reinterpret_cast<__m128i*>(words + 4), sum[k][1]);
    for (size_t i = 0; i < 8; i++) t[i * stride + k] = words[i];
    wipe(words, sizeof words);
  }
  wipe(midstates, sizeof midstates);
  wipe(s, sizeof s);
  wipe(w, sizeof w);
  wipe(sum, sizeof sum);
  wipe(u, 8 * stride * sizeof *u);
}

}  // namespace

// Cycles a compression on Zen 5: 144 with one stream, 83 with 2, 68 with 4, 65 with 8; sha256rnds2 alone needs 64.
const KernelTable kShaniKernel = {
    "shani",
    {0, nullptr},
    {0, nullptr},
    {1, sha256_compress_shani},
    {{8, pbkdf2_rounds_shani<8>},
     {4, pbkdf2_rounds_shani<4>},
     {2, pbkdf2_rounds_shani<2>},
     {1, pbkdf2_rounds_shani<1>}},
};

}  // namespace phsync
