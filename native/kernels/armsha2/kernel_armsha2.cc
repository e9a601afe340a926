// SHA-256 and PBKDF2-HMAC-SHA256 on the SHA-2 instructions of ARMv8 (Arm ARM, FEAT_SHA256: SHA256H, SHA256H2, SHA256SU0,
// SHA256SU1), one message per stream.
//
// No Vec here: the instructions work along one message. One message is a chain of 16 times SHA256H, whose latency is
// several times the cycles until the next can start, so PBKDF2 runs up to 3 messages side by side. Cycles a compression
// of 1, 2, 3 and 4 streams by llvm-mca 19, not measured on hardware:
//   Neoverse N1  98, 62, 58, 60 (55 would keep the one port that has these instructions busy)
//   Neoverse V1  97, 51, 44, 44
//   Apple M1    130, 66, 57, 57
//   Cortex-A72  151, 102, 101, 102
//   Cortex-A53  216, 165, 186, 210, Cortex-A55 138, 139, 134, 159: in order, more streams only wait on more loads
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#include "../generic/inline.h"
#include "../generic/sha256_constants.h"
#include "../generic/wipe.h"
#include "../kernels.h"

namespace phsync {
namespace {

/// The state as SHA256H wants it, low to high.
struct State {
  uint32x4_t abcd, efgh;
};

/// K + W of the quad where the block's words are known, K where they are not.
template <class Block>
struct RoundConstants {
  uint32_t words[64];
  constexpr RoundConstants() : words() {
    for (int t = 0; t < 64; t++) words[t] = kSha256K[t] + (Block::known(t) ? Block::word(t) : 0);
  }
};
template <class Block>
constexpr RoundConstants<Block> kRoundConstants;

/// Four rounds over W + K.
PHSYNC_INLINE void four_rounds(State& s, uint32x4_t wk) {
  const uint32x4_t abcd = s.abcd;
  s.abcd = vsha256hq_u32(abcd, s.efgh, wk);
  s.efgh = vsha256h2q_u32(s.efgh, abcd, wk);
}

/// W_4q … W_(4q + 3), q >= 4, replace the four words that stand 16 before them.
PHSYNC_INLINE void schedule_quad(uint32x4_t* w, int quad) {
  const uint32x4_t sum = vsha256su0q_u32(w[quad & 3], w[(quad + 1) & 3]);
  w[quad & 3] = vsha256su1q_u32(sum, w[(quad + 2) & 3], w[(quad + 3) & 3]);
}

/// Quads of rounds from `quad` on; the streams take turns at each.
template <class Block, int quad, size_t streams>
PHSYNC_INLINE void quads(State* s, uint32x4_t (*w)[4]) {
  if constexpr (quad < 16) {
    const uint32x4_t k = vld1q_u32(kRoundConstants<Block>.words + 4 * quad);
    for (size_t i = 0; i < streams; i++) {
      if constexpr (quad >= 4) schedule_quad(w[i], quad);
      // A block is known by whole quads (DigestBlock), so its first word speaks for the four.
      four_rounds(s[i], Block::known(4 * quad) ? k : vaddq_u32(k, w[i][quad & 3]));
    }
    quads<Block, quad + 1, streams>(s, w);
  }
}

PHSYNC_INLINE void add(State& s, const State& to) {
  s.abcd = vaddq_u32(s.abcd, to.abcd);
  s.efgh = vaddq_u32(s.efgh, to.efgh);
}

void sha256_compress_armsha2(uint32_t* state, const uint8_t* const* blocks, size_t count) {
  State chain = {vld1q_u32(state), vld1q_u32(state + 4)};
  for (size_t index = 0; index < count; index++) {
    const uint8_t* block = blocks[0] + index * kBlockSize;
    uint32x4_t w[1][4];
    for (size_t i = 0; i < 4; i++) w[0][i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(block + 16 * i)));
    State s = chain;
    quads<AnyBlock, 0, 1>(&s, w);
    add(chain, s);
  }
  vst1q_u32(state, chain.abcd);
  vst1q_u32(state + 4, chain.efgh);
}

/// Of the stream whose words stand `stride` apart.
PHSYNC_INLINE State gather(const uint32_t* words, size_t stride) {
  uint32_t w[8];
  for (size_t i = 0; i < 8; i++) w[i] = words[i * stride];
  const State s = {vld1q_u32(w), vld1q_u32(w + 4)};
  wipe(w, sizeof w);
  return s;
}

PHSYNC_INLINE void scatter(const State& s, uint32_t* words, size_t stride) {
  uint32_t w[8];
  vst1q_u32(w, s.abcd);
  vst1q_u32(w + 4, s.efgh);
  for (size_t i = 0; i < 8; i++) words[i * stride] = w[i];
  wipe(w, sizeof w);
}

/// digests = SHA-256 from the midstates over (digests, padding). Between calls the digests are in memory, which the
/// caller wipes; in here, 3 streams fit the 32 registers.
template <size_t streams>
PHSYNC_INLINE void compress_digests(const State* midstates, State* digests, const State& padding) {
  State s[streams];
  uint32x4_t w[streams][4];
  for (size_t i = 0; i < streams; i++) {
    // The digest's words are the message's: no byte changes its place.
    w[i][0] = digests[i].abcd;
    w[i][1] = digests[i].efgh;
    w[i][2] = padding.abcd;
    w[i][3] = padding.efgh;
    s[i] = midstates[i];
  }
  quads<DigestBlock, 0, streams>(s, w);
  for (size_t i = 0; i < streams; i++) {
    add(s[i], midstates[i]);
    digests[i] = s[i];
  }
}

template <size_t streams>
void pbkdf2_rounds_armsha2(const uint32_t* inner, const uint32_t* outer, uint32_t* u, uint32_t* t, uint32_t rounds) {
  constexpr size_t stride = lane_stride(streams);
  State midstates[2][streams];
  State digests[streams];
  State sum[streams];
  for (size_t i = 0; i < streams; i++) {
    midstates[0][i] = gather(inner + i, stride);
    midstates[1][i] = gather(outer + i, stride);
    digests[i] = gather(u + i, stride);
    sum[i] = gather(t + i, stride);
  }
  uint32_t words[8];
  for (int i = 0; i < 8; i++) words[i] = DigestBlock::word(8 + i);
  const State padding = {vld1q_u32(words), vld1q_u32(words + 4)};
  for (uint64_t half = 0; half < uint64_t{2} * rounds; half++) {
    compress_digests<streams>(midstates[half & 1], digests, padding);
    if ((half & 1) == 0) continue;
    for (size_t i = 0; i < streams; i++) {
      sum[i].abcd = veorq_u32(sum[i].abcd, digests[i].abcd);
      sum[i].efgh = veorq_u32(sum[i].efgh, digests[i].efgh);
    }
  }
  for (size_t i = 0; i < streams; i++) scatter(sum[i], t + i, stride);
  wipe(midstates, sizeof midstates);
  wipe(digests, sizeof digests);
  wipe(sum, sizeof sum);
  wipe(u, 8 * stride * sizeof *u);
}

}  // namespace

const KernelTable kArmSha2Kernel = {
    "armsha2",
    {0, nullptr},
    {0, nullptr},
    {1, sha256_compress_armsha2},
    {{3, pbkdf2_rounds_armsha2<3>}, {2, pbkdf2_rounds_armsha2<2>}, {1, pbkdf2_rounds_armsha2<1>}},
};

}  // namespace phsync
