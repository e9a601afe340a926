// FIPS 180-4, section 6.2.2: the SHA-256 compression function over the lanes of a Vec.
#ifndef PHSYNC_KERNELS_GENERIC_SHA256_H_
#define PHSYNC_KERNELS_GENERIC_SHA256_H_

#include "blocks.h"
#include "sha256_constants.h"

namespace phsync {
namespace {

/// The sum of three rotations, a < b < c; a Vec may have a shorter way.
template <int a, int b, int c, class V>
PHSYNC_INLINE V xor_rotr(V x) {
  return xor3(rotr<a>(x), rotr<b>(x), rotr<c>(x));
}
template <class V>
PHSYNC_INLINE V big_sigma0(V x) {
  return xor_rotr<2, 13, 22>(x);
}
template <class V>
PHSYNC_INLINE V big_sigma1(V x) {
  return xor_rotr<6, 11, 25>(x);
}
template <class V>
PHSYNC_INLINE V small_sigma0(V x) {
  return xor3(rotr<7>(x), rotr<18>(x), shr<3>(x));
}
template <class V>
PHSYNC_INLINE V small_sigma1(V x) {
  return xor3(rotr<17>(x), rotr<19>(x), shr<10>(x));
}

constexpr uint32_t rotr32(uint32_t x, int n) { return x >> n | x << (32 - n); }
constexpr uint32_t small_sigma0_of(uint32_t x) { return rotr32(x, 7) ^ rotr32(x, 18) ^ x >> 3; }
constexpr uint32_t small_sigma1_of(uint32_t x) { return rotr32(x, 17) ^ rotr32(x, 19) ^ x >> 10; }

/// W_t for t >= 16 replaces W_(t-16) in `w`. What the block's known words contribute is added up at compile time.
template <class V, class Block, int t>
PHSYNC_INLINE void schedule(V* w) {
  constexpr uint32_t constant = (Block::known(t - 16) ? Block::word(t - 16) : 0) +
                                (Block::known(t - 15) ? small_sigma0_of(Block::word(t - 15)) : 0) +
                                (Block::known(t - 7) ? Block::word(t - 7) : 0) +
                                (Block::known(t - 2) ? small_sigma1_of(Block::word(t - 2)) : 0);
  V& out = w[t & 15];
  // W_0 … W_7 are never all known, so one of the three is always there to start the sum.
  constexpr bool has16 = !Block::known(t - 16);
  constexpr bool has7 = !Block::known(t - 7);
  static_assert(has16 || has7 || !Block::known(t - 2), "a schedule word without a variable part");
  V sum = has16 ? out : has7 ? w[(t - 7) & 15] : small_sigma1(w[(t - 2) & 15]);
  if constexpr (has16 && has7) sum = sum + w[(t - 7) & 15];
  if constexpr (!Block::known(t - 15)) sum = sum + small_sigma0(w[(t - 15) & 15]);
  if constexpr (constant != 0) sum = sum + V::broadcast(constant);
  if constexpr ((has16 || has7) && !Block::known(t - 2)) sum = sum + small_sigma1(w[(t - 2) & 15]);
  out = sum;
}

/// Round t, with h + K + W as `hkw`. The eight working variables do not move: variable i of round t stands at
/// s[(i - t) & 7]. `cache` is b ^ c for the Vecs whose majority needs it: b ^ c of this round is a ^ b of the last.
template <class V, int t>
PHSYNC_INLINE void sha256_round(V* s, V hkw, V& cache) {
  const V a = s[(64 - t) & 7];
  const V b = s[(65 - t) & 7];
  const V c = s[(66 - t) & 7];
  V& d = s[(67 - t) & 7];
  const V e = s[(68 - t) & 7];
  const V f = s[(69 - t) & 7];
  const V g = s[(70 - t) & 7];
  V& h = s[(71 - t) & 7];
  // The sums are bracketed for latency: what is ready late (the sigmas, three operations deep) is added last.
  const V t1 = (hkw + select(e, f, g)) + big_sigma1(e);
  d = d + t1;
  h = (t1 + majority(a, b, c, cache)) + big_sigma0(a);
}

/// Rounds t to end - 1. W_t is computed V::schedule_lead rounds ahead, which gives the rounds' chain of dependent
/// operations something to overlap with. At most 12, because pbkdf2.h comes in at round 4.
template <class V, class Block, int t, int end>
PHSYNC_INLINE void sha256_rounds(V* s, V* w, V& cache) {
  if constexpr (t < end) {
    constexpr int ahead = t + V::schedule_lead;
    if constexpr (ahead >= 16 && ahead < 64) schedule<V, Block, ahead>(w);
    V hkw = s[(71 - t) & 7];
    if constexpr (Block::known(t)) {
      hkw = hkw + V::broadcast(kSha256K[t] + Block::word(t));
    } else {
      hkw = hkw + V::broadcast(kSha256K[t]) + w[t & 15];
    }
    sha256_round<V, t>(s, hkw, cache);
    sha256_rounds<V, Block, t + 1, end>(s, w, cache);
  }
}

/// K_0 … K_63, each `copies` times over, as V::constant reads them.
template <size_t copies>
struct RepeatedK {
  alignas(64) uint32_t words[64 * copies];
  constexpr RepeatedK() : words() {
    for (size_t i = 0; i < 64 * copies; i++) words[i] = kSha256K[i / copies];
  }
};
template <size_t copies>
constexpr RepeatedK<copies> kRepeatedK;

/// As sha256_rounds, for any t that `from` is a multiple of 16 behind: no word is known, and K_t stands at `k`.
template <class V, int from, int end>
PHSYNC_INLINE void sha256_loop_rounds(V* s, V* w, V& cache, const uint32_t* k) {
  if constexpr (from < end) {
    schedule<V, AnyBlock, 32 + ((from + V::schedule_lead) & 15)>(w);
    sha256_round<V, from>(s, s[(71 - from) & 7] + V::constant(k) + w[from & 15], cache);
    sha256_loop_rounds<V, from + 1, end>(s, w, cache, k + V::constant_copies);
  }
}

/// Keeps a loop over `cursor` a loop: unrolled, it would not fit the instruction caches.
template <class T>
PHSYNC_INLINE void keep_rolled(T*& cursor) {
#if defined(__GNUC__) || defined(__clang__)
  __asm__ __volatile__("" : "+r"(cursor));
#else
  (void)cursor;
#endif
}

template <class V>
void sha256_compress(uint32_t* state, const uint8_t* const* blocks, size_t count) {
  alignas(64) uint32_t scratch[16][V::lanes];
  for (size_t index = 0; index < count; index++) {
    V w[16];
    load_block<V, true>(w, blocks, index, scratch);
    V s[8];
    for (size_t i = 0; i < 8; i++) s[i] = V::load(state + i * V::lanes);
    V cache = s[1] ^ s[2];
    sha256_rounds<V, AnyBlock, 0, 64>(s, w, cache);
    for (size_t i = 0; i < 8; i++) (V::load(state + i * V::lanes) + s[i]).store(state + i * V::lanes);
  }
  wipe(scratch, sizeof scratch);
}

}  // namespace
}  // namespace phsync

#endif
