// pbkdf2.h for several vectors at a time on ISAs with too few registers for a Pair: the streams take turns of a round or
// a few out of memory, and the CPU overlaps the end of one turn with the beginning of the next.
#ifndef PHSYNC_KERNELS_GENERIC_PBKDF2_STREAMS_H_
#define PHSYNC_KERNELS_GENERIC_PBKDF2_STREAMS_H_

#include "pbkdf2.h"

namespace phsync {
namespace {

template <class V>
struct Stream {
  V s[8];
  V w[16];
  V cache;
};

/// A new turn: keeps the streams in memory between turns, too.
template <class V>
PHSYNC_INLINE void begin_turn(Stream<V>*& stream) {
#if defined(__GNUC__) || defined(__clang__)
  __asm__ __volatile__("" : "+r"(stream) : : "memory");
#else
  (void)stream;
#endif
}

/// Rounds t to end - 1 of all streams, `turn` rounds a turn.
template <class V, size_t streams, int turn, int t, int end>
PHSYNC_INLINE void turns(Stream<V>* first) {
  if constexpr (t < end) {
    for (Stream<V>* stream = first; stream != first + streams; stream++) {
      begin_turn(stream);
      sha256_rounds<V, DigestBlock, t, t + turn>(stream->s, stream->w, stream->cache);
    }
    turns<V, streams, turn, t + turn, end>(first);
  }
}

/// The same in the loop of compress_digest.
template <class V, size_t streams, int turn, int t, int end>
PHSYNC_INLINE void loop_turns(Stream<V>* first, const uint32_t* k) {
  if constexpr (t < end) {
    for (Stream<V>* stream = first; stream != first + streams; stream++) {
      begin_turn(stream);
      sha256_loop_rounds<V, t, t + turn>(stream->s, stream->w, stream->cache, k);
    }
    loop_turns<V, streams, turn, t + turn, end>(first, k + turn * V::constant_copies);
  }
}

/// `streams` vectors, `turn` (1, 2 or 4) rounds a turn, `rolled` (2 or 3) as in pbkdf2.h.
template <class V, size_t streams, int turn, int rolled>
void pbkdf2_rounds_streams(const uint32_t* inner, const uint32_t* outer, uint32_t* u, uint32_t* t, uint32_t rounds) {
  static_assert(V::schedule_lead == 0, "the streams overlap with one another instead");
  constexpr size_t stride = lane_stride(streams * V::lanes);
  constexpr int start = kLoopStart<V, rolled>;
  Midstate<V> midstates[2][streams];
  Stream<V> all[streams];
  for (size_t i = 0; i < streams; i++) {
    set_midstate(midstates[0][i], inner + i * V::lanes, stride);
    set_midstate(midstates[1][i], outer + i * V::lanes, stride);
    for (size_t word = 0; word < 8; word++) all[i].w[word] = V::load(u + word * stride + i * V::lanes);
  }
  for (uint64_t half = 0; half < uint64_t{2} * rounds; half++) {
    const Midstate<V>* m = midstates[half & 1];
    for (Stream<V>* stream = all; stream != all + streams; stream++) {
      begin_turn(stream);
      first_rounds(m[stream - all], stream->s, stream->w, stream->cache);
      set_padding<V, rolled>(stream->w);
    }
    turns<V, streams, turn, 4, start>(all);
    const uint32_t* k = kRepeatedK<V::constant_copies>.words + start * V::constant_copies;
    const uint32_t* const end = k + 16 * rolled * V::constant_copies;
    do {
      loop_turns<V, streams, turn, start, start + 16>(all, k);
      k += 16 * V::constant_copies;
      keep_rolled(k);
    } while (k != end);
    for (Stream<V>* stream = all; stream != all + streams; stream++) {
      begin_turn(stream);
      for (size_t word = 0; word < 8; word++) stream->w[word] = stream->s[word] + m[stream - all].s[word];
      if ((half & 1) == 0) continue;
      for (size_t word = 0; word < 8; word++) {
        uint32_t* out = t + word * stride + (stream - all) * V::lanes;
        (V::load(out) ^ stream->w[word]).store(out);
      }
    }
  }
  wipe(midstates, sizeof midstates);
  wipe(all, sizeof all);
  wipe(u, 8 * stride * sizeof *u);
}

}  // namespace
}  // namespace phsync

#endif
