// ENCRYPTED_PAYLOAD as plainly as can be, for the fuzz targets to seal with and to compare with.
#ifndef PHSYNC_TEST_FUZZ_REFERENCE_H_
#define PHSYNC_TEST_FUZZ_REFERENCE_H_

#include <fuzzer/FuzzedDataProvider.h>
#include <stdint.h>

#include <utility>
#include <vector>

#include "../hash_batch.h"
#include "fuzz_plans.h"

namespace phsync {

using Bytes = std::vector<uint8_t>;

inline Bytes take(FuzzedDataProvider& input, size_t size) {
  Bytes bytes = input.ConsumeBytes<uint8_t>(size);
  bytes.resize(size);
  return bytes;
}

/// CRC-32 bit by bit, as IEEE 802.3 has it.
inline uint32_t checksum(const uint8_t* data, size_t size) {
  uint32_t crc = 0xffffffff;
  for (size_t i = 0; i < size; i++) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
  }
  return ~crc;
}

/// What stands behind an envelope's salt, RC4'd under MD5(session key, salt): opens and seals.
inline Bytes rc4(const Bytes& session_key, const uint8_t* salt, const uint8_t* text, size_t size) {
  uint8_t key[16];
  const HashJob job = {session_key.data(), session_key.size(), salt, 16, key, nullptr};
  md5_batch(portable(), &job, 1);
  uint8_t s[256];
  for (int i = 0; i < 256; i++) s[i] = static_cast<uint8_t>(i);
  for (int i = 0, j = 0; i < 256; i++) {
    j = (j + s[i] + key[i % 16]) % 256;
    std::swap(s[i], s[j]);
  }
  Bytes result(size);
  int i = 0, j = 0;
  for (size_t n = 0; n < size; n++) {
    i = (i + 1) % 256;
    j = (j + s[i]) % 256;
    std::swap(s[i], s[j]);
    result[n] = text[n] ^ s[(s[i] + s[j]) % 256];
  }
  return result;
}

}  // namespace phsync

#endif
