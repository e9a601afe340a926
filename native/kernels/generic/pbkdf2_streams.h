// pbkdf2.h for several vectors at a time on ISAs with too few registers for a Pair: the streams take turns of four
// rounds out of memory, and the CPU overlaps the end of one turn with the beginning of the next.
#ifndef PHSYNC_KERNELS_GENERIC_PBKDF2_STREAMS_H_
#define PHSYNC_KERNELS_GENERIC_PBKDF2_STREAMS_H_

#include "pbkdf2.h"

namespace phsync {
namespace {

/// Cycles a compression and lane with AVX2 on Zen 5: 142 with one stream in registers, 127 with 2, 115 with 4.
constexpr size_t kStreams = 4;
/// In rounds. Fewer, and the state's way through memory shows; more, and the turns no longer overlap.
constexpr int kTurn = 4;

template <class V>
struct Stream {
  V s[8];
  V w[16];
  V cache;
};

/// Makes the compiler keep the streams in memory between turns and the loop over them a loop: unrolled, it would not
/// fit the instruction caches.
template <class V>
PHSYNC_INLINE void end_turn(Stream<V>*& stream) {
#if defined(__GNUC__) || defined(__clang__)
  __asm__ __volatile__("" : "+r"(stream) : : "memory");
#else
  (void)stream;
#endif
}

template <class V, int t>
PHSYNC_INLINE void turns(Stream<V>* streams) {
  if constexpr (t < 64) {
    Stream<V>* const end = streams + kStreams;
    for (Stream<V>* stream = streams; stream != end; stream++) {
      end_turn(stream);
      sha256_rounds<V, DigestBlock, t, t + kTurn>(stream->s, stream->w, stream->cache);
    }
    turns<V, t + kTurn>(streams);
  }
}

template <class V>
void pbkdf2_rounds_streams(const uint32_t* inner, const uint32_t* outer, uint32_t* u, uint32_t* t, uint32_t rounds) {
  constexpr size_t stride = lane_stride(kStreams * V::lanes);
  Midstate<V> midstates[2][kStreams];
  Stream<V> streams[kStreams];
  for (size_t k = 0; k < kStreams; k++) {
    set_midstate(midstates[0][k], inner + k * V::lanes, stride);
    set_midstate(midstates[1][k], outer + k * V::lanes, stride);
    for (size_t i = 0; i < 8; i++) streams[k].w[i] = V::load(u + i * stride + k * V::lanes);
  }
  for (uint64_t half = 0; half < uint64_t{2} * rounds; half++) {
    const Midstate<V>* m = midstates[half & 1];
    for (size_t k = 0; k < kStreams; k++) {
      Stream<V>* stream = streams + k;
      end_turn(stream);
      first_rounds(m[k], stream->s, stream->w, stream->cache);
    }
    turns<V, 4>(streams);
    for (size_t k = 0; k < kStreams; k++) {
      for (size_t i = 0; i < 8; i++) streams[k].w[i] = streams[k].s[i] + m[k].s[i];
    }
    if ((half & 1) == 0) continue;
    for (size_t k = 0; k < kStreams; k++) {
      for (size_t i = 0; i < 8; i++) {
        uint32_t* out = t + i * stride + k * V::lanes;
        (V::load(out) ^ streams[k].w[i]).store(out);
      }
    }
  }
  wipe(midstates, sizeof midstates);
  wipe(streams, sizeof streams);
  wipe(u, 8 * stride * sizeof *u);
}

}  // namespace
}  // namespace phsync

#endif
