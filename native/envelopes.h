// The opening of ENCRYPTED_PAYLOADs (MS-DRSR 4.1.10.6.13) of any length and of the RID layer below (MS-SAMR 2.2.11.1).
#ifndef PHSYNC_ENVELOPES_H_
#define PHSYNC_ENVELOPES_H_

#include <stddef.h>
#include <stdint.h>

#include "hash_batch.h"
#include "plan.h"
#include "rc4.h"
#include "rid_des.h"

namespace phsync {

constexpr size_t kEnvelopeSaltSize = 16;
constexpr size_t kChecksumSize = 4;
/// Bytes of an envelope around its data: Salt, then CheckSum, which is encrypted as the data are.
constexpr size_t kEnvelopeOverhead = kEnvelopeSaltSize + kChecksumSize;
/// What the RID layer is laid over is a multiple of this.
constexpr size_t kRidBlockSize = 16;
constexpr size_t kMaxSessionKeySize = 64;
constexpr size_t kMaxSessionKeys = 64;

/// EnvelopeStatus of the TypeScript side.
enum Status : uint8_t { kStatusOk = 0, kStatusLength = 1, kStatusChecksum = 2, kStatusRid = 3 };

struct EnvelopeJob {
  /// kEnvelopeOverhead + size bytes.
  const uint8_t* envelope;
  size_t size;
  /// Receives `size` bytes of data, or what came out under the last key where none opens it. No part of the envelope.
  uint8_t* data;
  /// 0: there is no RID layer. Else `size` is a multiple of kRidBlockSize.
  uint32_t rid;
  /// kStatusOk or kStatusChecksum.
  uint8_t status;
};

/// Scratch that the caller wipes.
struct EnvelopeScratch {
  /// Jobs that no session key has opened yet, the shortest first.
  uint32_t closed[kSliceJobs];
  HashJob md5_jobs[kSliceJobs];
  uint8_t rc4_keys[kSliceJobs][kRc4KeySize];
  uint8_t checksums[kRc4Lanes][kChecksumSize];
  Rc4Lanes rc4;
  RidKeys rid_keys[kRidLanes];
};

/// Opens up to kSliceJobs envelopes, each under the first session key that the CRC-32 confirms.
void open_envelopes(const Plan& plan, EnvelopeScratch& scratch, const Slice* session_keys, size_t session_key_count,
                    EnvelopeJob* jobs, size_t count);

/// One envelope of any length, and where its data go: kEnvelopeOverhead bytes less than it has, no part of it.
struct OpenItem {
  Slice envelope;
  uint8_t* data;
};

/// Opens any number of envelopes. `rids` is null where there is no RID layer. Data without kStatusOk are zero.
void open_batch(const Plan& plan, const Slice* session_keys, size_t session_key_count, const OpenItem* items,
                const uint32_t* rids, size_t count, uint8_t* status);

}  // namespace phsync

#endif
