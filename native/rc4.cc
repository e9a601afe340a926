// RC4, four lanes interleaved.
#include "rc4.h"

#include <string.h>

namespace phsync {
namespace {

struct Identity {
  uint8_t bytes[256];
};

constexpr Identity make_identity() {
  Identity identity = {};
  for (int i = 0; i < 256; i++) identity.bytes[i] = static_cast<uint8_t>(i);
  return identity;
}

constexpr Identity kIdentity = make_identity();

}  // namespace

void rc4_decrypt_x4(Rc4Lanes& states, const uint8_t* const* keys, const uint8_t* const* in, uint8_t* const* out) {
  uint8_t key[kRc4Lanes][kRc4KeySize];
  uint32_t j[kRc4Lanes] = {};
  for (size_t lane = 0; lane < kRc4Lanes; lane++) {
    memcpy(key[lane], keys[lane], kRc4KeySize);
    memcpy(states.state[lane], kIdentity.bytes, sizeof kIdentity.bytes);
  }
  for (size_t i = 0; i < 256; i++) {
    for (size_t lane = 0; lane < kRc4Lanes; lane++) {
      uint8_t* s = states.state[lane];
      const uint8_t x = s[i];
      j[lane] = (j[lane] + x + key[lane][i % kRc4KeySize]) & 0xff;
      s[i] = s[j[lane]];
      s[j[lane]] = x;
    }
  }
  for (size_t lane = 0; lane < kRc4Lanes; lane++) j[lane] = 0;
  for (size_t n = 0; n < kRc4TextSize; n++) {
    const size_t i = n + 1;
    for (size_t lane = 0; lane < kRc4Lanes; lane++) {
      uint8_t* s = states.state[lane];
      const uint8_t x = s[i];
      j[lane] = (j[lane] + x) & 0xff;
      const uint8_t y = s[j[lane]];
      s[i] = y;
      s[j[lane]] = x;
      out[lane][n] = in[lane][n] ^ s[(x + y) & 0xff];
    }
  }
}

}  // namespace phsync
