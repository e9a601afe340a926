// Jobs to lanes: many messages of any lengths through a kernel's compression function, and HMAC and PBKDF2 over that.
#ifndef PHSYNC_HASH_BATCH_H_
#define PHSYNC_HASH_BATCH_H_

#include <stddef.h>
#include <stdint.h>

#include "plan.h"

namespace phsync {

constexpr size_t kMaxSuffix = 16;
/// Of SHA-256.
constexpr size_t kDigestSize = 32;

/// Jobs that are prepared at a time, at most: their scratch stays in the second-level cache.
constexpr size_t kSliceJobs = 256;
static_assert(kSliceJobs >= kMaxLanes, "a slice fills the widest kernel");

/// Of these, whole calls of the width that large batches are worked off in.
inline size_t slice_jobs(const Plan& plan) {
  const size_t lanes = plan.pbkdf2.bulk().kernel.lanes;
  return kSliceJobs / lanes * lanes;
}

/// One message: `data`, then up to kMaxSuffix bytes of `suffix`.
struct HashJob {
  const uint8_t* data;
  size_t size;
  const uint8_t* suffix;
  size_t suffix_size;
  /// Receives the digest, 16 or 32 bytes.
  uint8_t* digest;
  /// SHA-256 only: the 8 words of state after `block_before` blocks; null starts afresh.
  const uint32_t* midstate;
};

/// A byte range of a concatenation.
struct Slice {
  const uint8_t* data;
  size_t size;
};

void md4_batch(const Plan& plan, const HashJob* jobs, size_t count);
void md5_batch(const Plan& plan, const HashJob* jobs, size_t count);
/// A job with a midstate continues after one block (the ipad or opad block of HMAC).
void sha256_batch(const Plan& plan, const HashJob* jobs, size_t count);

/// The SHA-256 states of an HMAC key: after the ipad block and after the opad block.
struct HmacKey {
  uint32_t inner[8];
  uint32_t outer[8];
};

/// Keys of any length to HMAC-SHA256 states.
void hmac_keys(const Plan& plan, const Slice* keys, size_t count, HmacKey* out);

/// HMAC-SHA256 of one message under each key; `digests` gets 32 bytes a job.
void hmac_sha256_batch(const Plan& plan, const Slice* keys, const Slice* messages, size_t count, uint8_t* digests);

/// One block T_i of PBKDF2 (RFC 8018, section 5.2).
struct Pbkdf2Job {
  const HmacKey* key;
  Slice salt;
  /// i, from 1.
  uint32_t index;
  /// Receives the first `size` (1 to 32) bytes of T_i.
  uint8_t* out;
  size_t size;
};

/// At most kSliceJobs jobs.
void pbkdf2_batch(const Plan& plan, const Pbkdf2Job* jobs, size_t count, uint32_t iterations);

/// PBKDF2-HMAC-SHA256 of `count` passwords and salts; `derived_keys` gets dk_len (at least 1) bytes a job.
void pbkdf2_many(const Plan& plan, const Slice* passwords, const Slice* salts, size_t count, uint32_t iterations,
                 size_t dk_len, uint8_t* derived_keys);

}  // namespace phsync

#endif
