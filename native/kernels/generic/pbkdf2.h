// RFC 8018, section 5.2 over RFC 2104: the rounds of PBKDF2-HMAC-SHA256 after the first, over the lanes of a Vec.
//
// One round is two SHA-256 compressions whose state before round 0 never changes (the midstates of ipad and opad) and
// whose block is 8 words of digest and 8 known words. So per compression:
//   - round 0 is two additions, rounds 1 to 3 have h + K added beforehand,
//   - rounds 8 to 15 add one constant, K + W,
//   - the schedule loses 59 of 528 operations (counted with one instruction per rotation and three-input logic).
#ifndef PHSYNC_KERNELS_GENERIC_PBKDF2_H_
#define PHSYNC_KERNELS_GENERIC_PBKDF2_H_

#include "../kernels.h"
#include "sha256.h"

namespace phsync {
namespace {

template <class V>
struct Midstate {
  V s[8];
  /// a and e after round 0, but for W_0.
  V a1, e1;
  /// s[1] ^ s[2] as round 1 sees it: a ^ b of round 0.
  V ab;
  /// h + K of rounds 1, 2 and 3.
  V h1, h2, h3;
};

template <class V>
PHSYNC_INLINE void set_midstate(Midstate<V>& m, const uint32_t* state, size_t stride) {
  for (size_t i = 0; i < 8; i++) m.s[i] = V::load(state + i * stride);
  const V a = m.s[0];
  const V e = m.s[4];
  const V t1 = m.s[7] + V::broadcast(kSha256K[0]) + select(e, m.s[5], m.s[6]) + big_sigma1(e);
  m.ab = m.s[1] ^ m.s[2];
  m.a1 = t1 + big_sigma0(a) + majority(a, m.s[1], m.s[2], m.ab);
  m.ab = a ^ m.s[1];
  m.e1 = t1 + m.s[3];
  m.h1 = m.s[6] + V::broadcast(kSha256K[1]);
  m.h2 = m.s[5] + V::broadcast(kSha256K[2]);
  m.h3 = m.s[4] + V::broadcast(kSha256K[3]);
}

/// Rounds 0 to 3 over W_0 to W_3. `s` ends as sha256_round leaves it: round 4's a stands at s[4], its e at s[0].
template <class V>
PHSYNC_INLINE void first_rounds(const Midstate<V>& m, V* s, const V* w, V& cache) {
  // As round 0 leaves them for round 1, whose a is s[7] and whose e is s[3]; its h comes from the midstate.
  s[7] = m.a1 + w[0];
  s[0] = m.s[0];
  s[1] = m.s[1];
  s[2] = m.s[2];
  s[3] = m.e1 + w[0];
  s[4] = m.s[4];
  s[5] = m.s[5];
  cache = m.ab;
  sha256_round<V, 1>(s, m.h1 + w[1], cache);
  sha256_round<V, 2>(s, m.h2 + w[2], cache);
  sha256_round<V, 3>(s, m.h3 + w[3], cache);
}

/// The first round of the loop where the last `rolled` times 16 words of the schedule are computed in one. With 3 even
/// those words are taken for variable to which the padding contributes: 4 % more operations, a third less code.
template <class V, int rolled>
constexpr int kLoopStart = 64 - 16 * rolled - V::schedule_lead;

/// What the loop reads of the padding.
template <class V, int rolled>
PHSYNC_INLINE void set_padding(V* w) {
  if constexpr (rolled == 3) {
    for (int i = 8; i < 16; i++) w[i] = V::broadcast(DigestBlock::word(i));
  }
}

/// u = SHA-256 from the midstate over (u, padding).
template <class V, int rolled>
PHSYNC_INLINE void compress_digest(const Midstate<V>& m, V* u) {
  static_assert(rolled == 0 || rolled == 2 || rolled == 3, "the words behind the padding's, or those that it is part of");
  V w[16];
  for (size_t i = 0; i < 8; i++) w[i] = u[i];
  V s[8];
  V cache;
  first_rounds(m, s, w, cache);
  if constexpr (rolled == 0) {
    sha256_rounds<V, DigestBlock, 4, 64>(s, w, cache);
  } else {
    constexpr int start = kLoopStart<V, rolled>;
    sha256_rounds<V, DigestBlock, 4, start>(s, w, cache);
    set_padding<V, rolled>(w);
    const uint32_t* k = kRepeatedK<V::constant_copies>.words + start * V::constant_copies;
    const uint32_t* const end = k + 16 * rolled * V::constant_copies;
    do {
      sha256_loop_rounds<V, start, start + 16>(s, w, cache, k);
      k += 16 * V::constant_copies;
      keep_rolled(k);
    } while (k != end);
    sha256_rounds<V, DigestBlock, start + 16 * rolled, 64>(s, w, cache);
  }
  for (size_t i = 0; i < 8; i++) u[i] = s[i] + m.s[i];
}

/// `rolled` as above; 0 unrolls all rounds, which is faster as long as the instruction caches hold them.
template <class V, int rolled = 0>
void pbkdf2_rounds(const uint32_t* inner, const uint32_t* outer, uint32_t* u, uint32_t* t, uint32_t rounds) {
  constexpr size_t stride = lane_stride(V::lanes);
  Midstate<V> midstates[2];
  set_midstate(midstates[0], inner, stride);
  set_midstate(midstates[1], outer, stride);
  V x[8];
  for (size_t i = 0; i < 8; i++) x[i] = V::load(u + i * stride);
  // One body for both compressions of a round: two copies beside each other do not fit the instruction caches.
  for (uint64_t half = 0; half < uint64_t{2} * rounds; half++) {
    const Midstate<V>* m = midstates + (half & 1);
    // Not known to be one of the two: the compiler would copy it to the stack first.
    keep_rolled(m);
    compress_digest<V, rolled>(*m, x);
    if ((half & 1) == 0) continue;
    for (size_t i = 0; i < 8; i++) (V::load(t + i * stride) ^ x[i]).store(t + i * stride);
  }
  wipe(midstates, sizeof midstates);
  wipe(u, 8 * stride * sizeof *u);
}

}  // namespace
}  // namespace phsync

#endif
