// From envelopes to OrgId hashes; items that open are packed into full lanes before the expensive part.
#include "orgid_batch.h"

#include <string.h>

#include <algorithm>
#include <vector>

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

  EnvelopeJob jobs[kSliceJobs];
  EnvelopeScratch envelopes;
};

/// Opens up to kSliceJobs items from `begin` on and keeps the NT hashes of those that open.
void open_slice(const Plan& plan, OpenScratch& scratch, const Slice* session_keys, size_t session_key_count,
                const uint8_t* envelopes, const uint32_t* rids, size_t begin, size_t end, uint8_t* status) {
  const size_t first = scratch.opened;
  size_t count = 0;
  for (size_t item = begin; item < end; item++) {
    if (status[item] == kStatusLength) continue;
    status[item] = kStatusRid;
    if (rids[item] == 0) continue;
    scratch.index[first + count] = static_cast<uint32_t>(item);
    scratch.jobs[count] = {envelopes + item * kEnvelopeSize, kNtHashSize, scratch.nt_hashes[first + count], rids[item],
                           kStatusChecksum};
    count++;
  }
  open_envelopes(plan, scratch.envelopes, session_keys, session_key_count, scratch.jobs, count);
  for (size_t i = 0; i < count; i++) {
    const uint32_t item = scratch.index[first + i];
    status[item] = scratch.jobs[i].status;
    if (status[item] != kStatusOk) continue;
    scratch.index[scratch.opened] = item;
    memmove(scratch.nt_hashes[scratch.opened++], scratch.nt_hashes[first + i], kNtHashSize);
  }
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
    memset(digests + begin * kDigestSize, 0, (end - begin) * kDigestSize);
    open_slice(plan, *scratch, session_keys, session_key_count, envelopes, rids, begin, end, status);
    if (scratch->opened >= slice) derive(slice);
  }
  derive(scratch->opened);
}

}  // namespace phsync
