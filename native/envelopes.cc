// MD5(session key, Salt) keys RC4 over CheckSum and data; CRC-32 tells whether it was the right key. Job by job for the
// lanes of MD5 and RC4, block by block for those of DES.
#include "envelopes.h"

#include <string.h>

#include <algorithm>

#include "crc32.h"
#include "secure_zero.h"

namespace phsync {
namespace {

struct OpenScratch {
  EnvelopeJob jobs[kSliceJobs];
  /// Places of the jobs in the slice.
  uint32_t index[kSliceJobs];
  EnvelopeScratch envelopes;
};

/// Decrypts up to kRc4Lanes jobs; idle lanes repeat the last one. `items` are in the order of their sizes.
void decrypt_x4(EnvelopeScratch& scratch, const EnvelopeJob* jobs, const uint32_t* items, const uint8_t (*rc4_keys)[kRc4KeySize],
                size_t n) {
  const uint8_t* keys[kRc4Lanes];
  const uint8_t* in[kRc4Lanes];
  uint8_t* checksums[kRc4Lanes];
  uint8_t* out[kRc4Lanes];
  for (size_t lane = 0; lane < kRc4Lanes; lane++) {
    const size_t i = std::min(lane, n - 1);
    keys[lane] = rc4_keys[i];
    in[lane] = jobs[items[i]].envelope + kEnvelopeSaltSize;
    checksums[lane] = scratch.checksums[lane];
    out[lane] = jobs[items[i]].data;
  }
  rc4_start_x4(scratch.rc4, keys);
  rc4_next_x4(scratch.rc4, in, checksums, kChecksumSize);
  for (size_t lane = 0; lane < kRc4Lanes; lane++) in[lane] += kChecksumSize;
  const size_t shared = jobs[items[0]].size;
  rc4_next_x4(scratch.rc4, in, out, shared);
  for (size_t lane = 0; lane < n; lane++) {
    rc4_rest(scratch.rc4, lane, in[lane] + shared, out[lane] + shared, jobs[items[lane]].size - shared);
  }
}

/// Tries one session key on the closed jobs; returns how many stay closed.
size_t open_with(const Plan& plan, EnvelopeScratch& scratch, const Slice& session_key, EnvelopeJob* jobs,
                 size_t closed) {
  for (size_t i = 0; i < closed; i++) {
    scratch.md5_jobs[i] = {session_key.data,    session_key.size,   jobs[scratch.closed[i]].envelope,
                           kEnvelopeSaltSize,   scratch.rc4_keys[i], nullptr};
  }
  md5_batch(plan, scratch.md5_jobs, closed);
  size_t still_closed = 0;
  for (size_t begin = 0; begin < closed; begin += kRc4Lanes) {
    const size_t n = std::min(kRc4Lanes, closed - begin);
    decrypt_x4(scratch, jobs, scratch.closed + begin, scratch.rc4_keys + begin, n);
    for (size_t lane = 0; lane < n; lane++) {
      const uint32_t item = scratch.closed[begin + lane];
      EnvelopeJob& job = jobs[item];
      if (crc32(job.data, job.size) == load32le(scratch.checksums[lane])) job.status = kStatusOk;
      else scratch.closed[still_closed++] = item;
    }
  }
  return still_closed;
}

void remove_rid_layers(EnvelopeScratch& scratch, const EnvelopeJob* jobs, size_t count) {
  uint32_t rids[kRidLanes];
  uint8_t* blocks[kRidLanes];
  size_t filled = 0;
  const auto decrypt = [&] { rid_des_decrypt_x2(scratch.rid_keys, rids, blocks, blocks); };
  for (size_t i = 0; i < count; i++) {
    const EnvelopeJob& job = jobs[i];
    if (job.rid == 0 || job.status != kStatusOk) continue;
    for (size_t at = 0; at < job.size; at += kRidBlockSize) {
      rids[filled] = job.rid;
      blocks[filled] = job.data + at;
      if (++filled < kRidLanes) continue;
      decrypt();
      filled = 0;
    }
  }
  if (filled == 0) return;
  for (size_t lane = filled; lane < kRidLanes; lane++) {
    rids[lane] = rids[0];
    blocks[lane] = blocks[0];
  }
  decrypt();
}

}  // namespace

void open_envelopes(const Plan& plan, EnvelopeScratch& scratch, const Slice* session_keys, size_t session_key_count,
                    EnvelopeJob* jobs, size_t count) {
  bool alike = true;
  for (size_t i = 0; i < count; i++) {
    jobs[i].status = kStatusChecksum;
    scratch.closed[i] = static_cast<uint32_t>(i);
    alike = alike && jobs[i].size == jobs[0].size;
  }
  // Lanes go together as far as the shortest of them does.
  if (!alike) {
    std::sort(scratch.closed, scratch.closed + count, [&](uint32_t a, uint32_t b) { return jobs[a].size < jobs[b].size; });
  }
  size_t closed = count;
  for (size_t key = 0; key < session_key_count && closed != 0; key++) {
    closed = open_with(plan, scratch, session_keys[key], jobs, closed);
  }
  remove_rid_layers(scratch, jobs, count);
}

void open_batch(const Plan& plan, const Slice* session_keys, size_t session_key_count, const OpenItem* items,
                const uint32_t* rids, size_t count, uint8_t* status) {
  Wiped<OpenScratch> scratch;
  EnvelopeJob* const jobs = scratch->jobs;
  uint32_t* const index = scratch->index;
  for (size_t begin = 0; begin < count; begin += kSliceJobs) {
    const size_t end = std::min(begin + kSliceJobs, count);
    size_t n = 0;
    for (size_t item = begin; item < end; item++) {
      const Slice& envelope = items[item].envelope;
      const uint32_t rid = rids != nullptr ? rids[item] : 0;
      const bool whole = envelope.size >= kEnvelopeOverhead;
      const size_t size = whole ? envelope.size - kEnvelopeOverhead : 0;
      if (!whole || (rids != nullptr && (size == 0 || size % kRidBlockSize != 0))) {
        status[item] = kStatusLength;
      } else if (rids != nullptr && rid == 0) {
        status[item] = kStatusRid;
      } else {
        index[n] = static_cast<uint32_t>(item - begin);
        jobs[n++] = {envelope.data, size, items[item].data, rid, kStatusChecksum};
        continue;
      }
      if (size != 0) secure_zero(items[item].data, size);
    }
    open_envelopes(plan, scratch->envelopes, session_keys, session_key_count, jobs, n);
    for (size_t i = 0; i < n; i++) {
      status[begin + index[i]] = jobs[i].status;
      if (jobs[i].status != kStatusOk && jobs[i].size != 0) secure_zero(jobs[i].data, jobs[i].size);
    }
  }
}

}  // namespace phsync
