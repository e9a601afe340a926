// ENCRYPTED_PAYLOADs and NT hashes to OrgId digests: PBKDF2-HMAC-SHA256 over the NT hash's upper-case hex in UTF-16LE.
#ifndef PHSYNC_ORGID_BATCH_H_
#define PHSYNC_ORGID_BATCH_H_

#include <stddef.h>
#include <stdint.h>

#include "envelopes.h"
#include "hash_batch.h"
#include "plan.h"

namespace phsync {

constexpr size_t kNtHashSize = 16;
constexpr size_t kSaltSize = 10;
constexpr size_t kEnvelopeSize = kEnvelopeOverhead + kNtHashSize;
constexpr uint32_t kMaxIterations = 999999;

/// count × 16 bytes of NT hashes and count × 10 of salts to count × 32 of digests.
void derive_batch(const Plan& plan, const uint8_t* nt_hashes, const uint8_t* salts, size_t count,
                  uint32_t iterations, uint8_t* digests);

/// Opens count × 36 bytes of envelopes under the first session key that the CRC-32 confirms, and derives. Items whose
/// status comes in as kStatusLength are left alone; all others get their status. A digest without kStatusOk is zero.
void open_and_derive_batch(const Plan& plan, const Slice* session_keys, size_t session_key_count,
                           const uint8_t* envelopes, const uint32_t* rids, const uint8_t* salts, size_t count,
                           uint32_t iterations, uint8_t* digests, uint8_t* status);

}  // namespace phsync

#endif
