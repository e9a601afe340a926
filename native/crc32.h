// CRC-32 (ISO-HDLC: polynomial 0x04c11db7 reflected), as ENCRYPTED_PAYLOAD carries it.
#ifndef PHSYNC_CRC32_H_
#define PHSYNC_CRC32_H_

#include <stddef.h>
#include <stdint.h>

namespace phsync {

struct Crc32Table {
  uint32_t of[256];
};

constexpr Crc32Table make_crc32_table() {
  Crc32Table table = {};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    table.of[byte] = crc;
  }
  return table;
}

constexpr Crc32Table kCrc32Table = make_crc32_table();

inline uint32_t crc32(const uint8_t* data, size_t size) {
  uint32_t crc = 0xffffffff;
  for (size_t i = 0; i < size; i++) crc = crc >> 8 ^ kCrc32Table.of[(crc ^ data[i]) & 0xff];
  return ~crc;
}

}  // namespace phsync

#endif
