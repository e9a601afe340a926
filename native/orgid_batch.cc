// The envelope layers (MS-DRSR 4.1.10.6.13, MS-SAMR 2.2.11.1) and the OrgId hash; items that open are packed into full
// lanes before the expensive part.
#include "orgid_batch.h"

#include <string.h>

#include <algorithm>
#include <vector>

#include "crc32.h"
#include "rc4.h"
#include "rid_des.h"
#include "secure_zero.h"

namespace phsync {
namespace {

constexpr size_t kPasswordSize = 64;

struct Password {
  uint8_t bytes[kPasswordSize];
};

/// For slices of up to so many items.
struct DeriveScratch {
  explicit DeriveScratch(size_t items) : passwords(items), keys(items), slices(items), jobs(items) {}

  WipedArray<Password> passwords;
  WipedArray<HmacKey> keys;
  std::vector<Slice> slices;
  std::vector<Pbkdf2Job> jobs;
};

/// '0' to '9', 'A' to 'F', without a table: a table's cache lines would tell the digit.
uint8_t upper_hex(uint32_t nibble) {
  return static_cast<uint8_t>(nibble + '0' + ((9 - nibble) >> 31) * ('A' - '0' - 10));
}

/// One slice: item i's NT hash at nt_hashes + 16 i, its salt and digest at place `index[i]` (i itself where null).
void derive_slice(const Plan& plan, DeriveScratch& scratch, const uint8_t* nt_hashes, const uint32_t* index,
                  const uint8_t* salts, size_t count, uint32_t iterations, uint8_t* digests) {
  for (size_t i = 0; i < count; i++) {
    uint8_t* password = scratch.passwords[i].bytes;
    for (size_t k = 0; k < kNtHashSize; k++) {
      const uint32_t byte = nt_hashes[i * kNtHashSize + k];
      password[4 * k] = upper_hex(byte >> 4);
      password[4 * k + 1] = 0;
      password[4 * k + 2] = upper_hex(byte & 15);
      password[4 * k + 3] = 0;
    }
    scratch.slices[i] = {password, kPasswordSize};
  }
  hmac_keys(plan, scratch.slices.data(), count, scratch.keys.data());
  for (size_t i = 0; i < count; i++) {
    const size_t place = index != nullptr ? index[i] : i;
    scratch.jobs[i] = {&scratch.keys[i], {salts + place * kSaltSize, kSaltSize}, 1, digests + place * kDigestSize,
                       kDigestSize};
  }
  pbkdf2_batch(plan, scratch.jobs.data(), count, iterations);
}

struct OpenScratch {
  /// Opened and not yet derived: up to one slice left over and one that is being opened.
  uint8_t nt_hashes[2 * kSliceJobs][kNtHashSize];
  uint32_t index[2 * kSliceJobs];
  size_t opened;

  /// Items of the slice that no session key has opened yet.
  uint32_t closed[kSliceJobs];
  HashJob jobs[kSliceJobs];
  uint8_t keys[kSliceJobs][kRc4KeySize];
  uint8_t plain[kRc4Lanes][kRc4TextSize];
  Rc4Lanes rc4;
  RidKeys rid_keys[kRidLanes];
};

/// Tries one session key on the closed items; returns how many stay closed.
size_t open_with(const Plan& plan, OpenScratch& scratch, const Slice& session_key, const uint8_t* envelopes,
                 const uint32_t* rids, size_t closed, uint8_t* status) {
  for (size_t i = 0; i < closed; i++) {
    const uint8_t* envelope = envelopes + size_t{scratch.closed[i]} * kEnvelopeSize;
    scratch.jobs[i] = {session_key.data, session_key.size, envelope, 16, scratch.keys[i], nullptr};
  }
  md5_batch(plan, scratch.jobs, closed);
  const size_t first = scratch.opened;
  size_t still_closed = 0;
  for (size_t begin = 0; begin < closed; begin += kRc4Lanes) {
    const size_t n = std::min(kRc4Lanes, closed - begin);
    const uint8_t* keys[kRc4Lanes];
    const uint8_t* in[kRc4Lanes];
    uint8_t* out[kRc4Lanes];
    for (size_t lane = 0; lane < kRc4Lanes; lane++) {
      // Idle lanes repeat the last item.
      const size_t i = begin + std::min(lane, n - 1);
      keys[lane] = scratch.keys[i];
      in[lane] = envelopes + size_t{scratch.closed[i]} * kEnvelopeSize + 16;
      out[lane] = scratch.plain[lane];
    }
    rc4_decrypt_x4(scratch.rc4, keys, in, out);
    for (size_t lane = 0; lane < n; lane++) {
      const uint32_t item = scratch.closed[begin + lane];
      const uint8_t* plain = scratch.plain[lane];
      const uint32_t sum = static_cast<uint32_t>(plain[0]) | static_cast<uint32_t>(plain[1]) << 8 |
                           static_cast<uint32_t>(plain[2]) << 16 | static_cast<uint32_t>(plain[3]) << 24;
      if (crc32(plain + 4, kNtHashSize) != sum) {
        scratch.closed[still_closed++] = item;
        continue;
      }
      status[item] = kStatusOk;
      scratch.index[scratch.opened] = item;
      memcpy(scratch.nt_hashes[scratch.opened], plain + 4, kNtHashSize);
      scratch.opened++;
    }
  }
  for (size_t begin = first; begin < scratch.opened; begin += kRidLanes) {
    uint32_t lane_rids[kRidLanes];
    uint8_t* hashes[kRidLanes];
    for (size_t lane = 0; lane < kRidLanes; lane++) {
      const size_t i = std::min(begin + lane, scratch.opened - 1);
      lane_rids[lane] = rids[scratch.index[i]];
      hashes[lane] = scratch.nt_hashes[i];
    }
    rid_des_decrypt_x2(scratch.rid_keys, lane_rids, hashes, hashes);
  }
  return still_closed;
}

}  // namespace

void derive_batch(const Plan& plan, const uint8_t* nt_hashes, const uint8_t* salts, size_t count,
                  uint32_t iterations, uint8_t* digests) {
  const size_t slice = slice_jobs(plan);
  DeriveScratch scratch(std::min(slice, count));
  for (size_t begin = 0; begin < count; begin += slice) {
    const size_t n = std::min(slice, count - begin);
    derive_slice(plan, scratch, nt_hashes + begin * kNtHashSize, nullptr, salts + begin * kSaltSize, n, iterations,
                 digests + begin * kDigestSize);
  }
}

void open_and_derive_batch(const Plan& plan, const Slice* session_keys, size_t session_key_count,
                           const uint8_t* envelopes, const uint32_t* rids, const uint8_t* salts, size_t count,
                           uint32_t iterations, uint8_t* digests, uint8_t* status) {
  Wiped<OpenScratch> scratch;
  const size_t slice = slice_jobs(plan);
  DeriveScratch derive_scratch(std::min(slice, count));
  const auto derive = [&](size_t n) {
    derive_slice(plan, derive_scratch, scratch->nt_hashes[0], scratch->index, salts, n, iterations, digests);
    const size_t rest = scratch->opened - n;
    memmove(scratch->nt_hashes[0], scratch->nt_hashes[n], rest * kNtHashSize);
    memmove(scratch->index, scratch->index + n, rest * sizeof scratch->index[0]);
    scratch->opened = rest;
  };
  for (size_t begin = 0; begin < count; begin += slice) {
    const size_t end = std::min(begin + slice, count);
    size_t closed = 0;
    for (size_t item = begin; item < end; item++) {
      memset(digests + item * kDigestSize, 0, kDigestSize);
      if (status[item] == kStatusLength) continue;
      status[item] = rids[item] == 0 ? kStatusRid : kStatusChecksum;
      if (rids[item] != 0) scratch->closed[closed++] = static_cast<uint32_t>(item);
    }
    for (size_t key = 0; key < session_key_count && closed != 0; key++) {
      closed = open_with(plan, *scratch, session_keys[key], envelopes, rids, closed, status);
    }
    if (scratch->opened >= slice) derive(slice);
  }
  derive(scratch->opened);
}

}  // namespace phsync
