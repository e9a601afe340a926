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

void rc4_start_x4(Rc4Lanes& lanes, const uint8_t* const* keys) {
  uint8_t key[kRc4Lanes][kRc4KeySize];
  uint32_t j[kRc4Lanes] = {};
  for (size_t lane = 0; lane < kRc4Lanes; lane++) {
    memcpy(key[lane], keys[lane], kRc4KeySize);
    memcpy(lanes.state[lane], kIdentity.bytes, sizeof kIdentity.bytes);
  }
  for (size_t i = 0; i < 256; i++) {
    for (size_t lane = 0; lane < kRc4Lanes; lane++) {
      uint8_t* s = lanes.state[lane];
      const uint8_t x = s[i];
      j[lane] = (j[lane] + x + key[lane][i % kRc4KeySize]) & 0xff;
      s[i] = s[j[lane]];
      s[j[lane]] = x;
    }
  }
  memset(lanes.j, 0, sizeof lanes.j);
  lanes.i = 0;
}

void rc4_next_x4(Rc4Lanes& lanes, const uint8_t* const* in, uint8_t* const* out, size_t size) {
  // In locals: the texts are bytes, too, and might be these as far as the compiler knows.
  uint32_t i = lanes.i;
  uint32_t j[kRc4Lanes];
  const uint8_t* from[kRc4Lanes];
  uint8_t* to[kRc4Lanes];
  for (size_t lane = 0; lane < kRc4Lanes; lane++) {
    j[lane] = lanes.j[lane];
    from[lane] = in[lane];
    to[lane] = out[lane];
  }
  for (size_t n = 0; n < size; n++) {
    i = (i + 1) & 0xff;
    for (size_t lane = 0; lane < kRc4Lanes; lane++) {
      uint8_t* s = lanes.state[lane];
      const uint8_t x = s[i];
      j[lane] = (j[lane] + x) & 0xff;
      const uint8_t y = s[j[lane]];
      s[i] = y;
      s[j[lane]] = x;
      to[lane][n] = from[lane][n] ^ s[(x + y) & 0xff];
    }
  }
  for (size_t lane = 0; lane < kRc4Lanes; lane++) lanes.j[lane] = static_cast<uint8_t>(j[lane]);
  lanes.i = static_cast<uint8_t>(i);
}

void rc4_rest(Rc4Lanes& lanes, size_t lane, const uint8_t* in, uint8_t* out, size_t size) {
  uint8_t* s = lanes.state[lane];
  uint32_t i = lanes.i;
  uint32_t j = lanes.j[lane];
  for (size_t n = 0; n < size; n++) {
    i = (i + 1) & 0xff;
    const uint8_t x = s[i];
    j = (j + x) & 0xff;
    const uint8_t y = s[j];
    s[i] = y;
    s[j] = x;
    out[n] = in[n] ^ s[(x + y) & 0xff];
  }
}

}  // namespace phsync
