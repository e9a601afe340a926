// RC4 as ENCRYPTED_PAYLOAD uses it (MS-DRSR 4.1.10.6.13): a key of 16 bytes, a text of any length.
#ifndef PHSYNC_RC4_H_
#define PHSYNC_RC4_H_

#include <stddef.h>
#include <stdint.h>

namespace phsync {

constexpr size_t kRc4KeySize = 16;
/// RC4 is one long chain of dependent loads; four of them side by side take little longer than one.
constexpr size_t kRc4Lanes = 4;

/// Scratch that the caller wipes.
struct Rc4Lanes {
  uint8_t state[kRc4Lanes][256];
  uint8_t j[kRc4Lanes];
  uint8_t i;
};

/// Begins kRc4Lanes streams, each under its own key.
void rc4_start_x4(Rc4Lanes& lanes, const uint8_t* const* keys);

/// The next `size` bytes of every lane.
void rc4_next_x4(Rc4Lanes& lanes, const uint8_t* const* in, uint8_t* const* out, size_t size);

/// The last `size` bytes of one lane, whose text goes on where the others' end.
void rc4_rest(Rc4Lanes& lanes, size_t lane, const uint8_t* in, uint8_t* out, size_t size);

}  // namespace phsync

#endif
