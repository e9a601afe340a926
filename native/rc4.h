// RC4 of the 20 bytes of an ENCRYPTED_PAYLOAD that stand behind its salt (MS-DRSR 4.1.10.6.13).
#ifndef PHSYNC_RC4_H_
#define PHSYNC_RC4_H_

#include <stddef.h>
#include <stdint.h>

namespace phsync {

constexpr size_t kRc4KeySize = 16;
constexpr size_t kRc4TextSize = 20;
/// RC4's key schedule is one long chain of dependent loads; four of them side by side take little longer than one.
constexpr size_t kRc4Lanes = 4;

struct Rc4Lanes {
  uint8_t state[kRc4Lanes][256];
};

/// Decrypts kRc4Lanes texts, each under its own key. `states` is scratch that the caller wipes.
void rc4_decrypt_x4(Rc4Lanes& states, const uint8_t* const* keys, const uint8_t* const* in, uint8_t* const* out);

}  // namespace phsync

#endif
