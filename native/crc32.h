// CRC-32 (ISO-HDLC: polynomial 0x04c11db7 reflected), as ENCRYPTED_PAYLOAD carries it.
#ifndef PHSYNC_CRC32_H_
#define PHSYNC_CRC32_H_

#include <stddef.h>
#include <stdint.h>

namespace phsync {

/// Bytes that one step takes: a byte a step is a chain of dependent loads, which took longer than RC4 over the same.
constexpr size_t kCrc32Step = 8;

struct Crc32Table {
  /// of[k]: what a byte comes to with k zero bytes behind it.
  uint32_t of[kCrc32Step][256];
};

constexpr Crc32Table make_crc32_table() {
  Crc32Table table = {};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    table.of[0][byte] = crc;
  }
  for (size_t k = 1; k < kCrc32Step; k++) {
    for (uint32_t byte = 0; byte < 256; byte++) {
      const uint32_t before = table.of[k - 1][byte];
      table.of[k][byte] = before >> 8 ^ table.of[0][before & 0xff];
    }
  }
  return table;
}

constexpr Crc32Table kCrc32Table = make_crc32_table();

inline uint32_t load32le(const uint8_t* p) {
  return static_cast<uint32_t>(p[0]) | static_cast<uint32_t>(p[1]) << 8 | static_cast<uint32_t>(p[2]) << 16 |
         static_cast<uint32_t>(p[3]) << 24;
}

inline uint32_t crc32(const uint8_t* data, size_t size) {
  const auto& of = kCrc32Table.of;
  uint32_t crc = 0xffffffff;
  for (; size >= kCrc32Step; data += kCrc32Step, size -= kCrc32Step) {
    const uint32_t low = crc ^ load32le(data);
    const uint32_t high = load32le(data + 4);
    crc = of[7][low & 0xff] ^ of[6][low >> 8 & 0xff] ^ of[5][low >> 16 & 0xff] ^ of[4][low >> 24] ^
          of[3][high & 0xff] ^ of[2][high >> 8 & 0xff] ^ of[1][high >> 16 & 0xff] ^ of[0][high >> 24];
  }
  for (size_t i = 0; i < size; i++) crc = crc >> 8 ^ of[0][(crc ^ data[i]) & 0xff];
  return ~crc;
}

}  // namespace phsync

#endif
