// Jobs to lanes: a lane that is done with its message takes the next one, so unequal lengths cost no idle lanes but
// at the end.
#include "hash_batch.h"

#include <string.h>

#include <algorithm>
#include <array>
#include <vector>

#include "secure_zero.h"

namespace phsync {
namespace {

constexpr uint32_t kMd4InitialState[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};  // and MD5's
constexpr uint32_t kSha256InitialState[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                             0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
// Message tail (up to 63 bytes), suffix, 0x80 and the 8-byte length.
constexpr size_t kTailSize = 2 * kBlockSize;
static_assert(kBlockSize - 1 + kMaxSuffix + 9 <= kTailSize, "the padded end of a message fits the tail buffer");

void store32be(uint8_t* p, uint32_t x) {
  p[0] = static_cast<uint8_t>(x >> 24);
  p[1] = static_cast<uint8_t>(x >> 16);
  p[2] = static_cast<uint8_t>(x >> 8);
  p[3] = static_cast<uint8_t>(x);
}

void store32le(uint8_t* p, uint32_t x) {
  p[0] = static_cast<uint8_t>(x);
  p[1] = static_cast<uint8_t>(x >> 8);
  p[2] = static_cast<uint8_t>(x >> 16);
  p[3] = static_cast<uint8_t>(x >> 24);
}

uint32_t load32be(const uint8_t* p) {
  return static_cast<uint32_t>(p[0]) << 24 | static_cast<uint32_t>(p[1]) << 16 | static_cast<uint32_t>(p[2]) << 8 |
         static_cast<uint32_t>(p[3]);
}

/// How an algorithm begins, pads and ends.
struct Md4Family {
  static constexpr size_t kWords = 4;
  static constexpr bool kBigEndian = false;
  static const uint32_t* initial_state() { return kMd4InitialState; }
};
struct Sha256Family {
  static constexpr size_t kWords = 8;
  static constexpr bool kBigEndian = true;
  static const uint32_t* initial_state() { return kSha256InitialState; }
};

struct Digest {
  uint8_t bytes[kDigestSize];
};

struct Lanes {
  alignas(kAlignment) uint32_t state[8 * kMaxBlockLanes];
  uint8_t tails[kMaxBlockLanes][kTailSize];
  const uint8_t* blocks[kMaxBlockLanes];
  /// Blocks left in the phase that the lane is in; 0 = the lane is idle.
  size_t left[kMaxBlockLanes];
  /// Blocks of the tail that stand behind the phase.
  size_t tail_blocks[kMaxBlockLanes];
  const HashJob* jobs[kMaxBlockLanes];
};

/// Writes the end of the message with its padding; returns its blocks, 1 or 2.
template <class Family>
size_t pad(const HashJob& job, uint8_t* tail) {
  const size_t rest = job.size % kBlockSize;
  size_t used = 0;
  if (rest != 0) memcpy(tail, job.data + (job.size - rest), rest);
  used += rest;
  if (job.suffix_size != 0) memcpy(tail + used, job.suffix, job.suffix_size);
  used += job.suffix_size;
  tail[used++] = 0x80;
  const size_t blocks = used + 8 <= kBlockSize ? 1 : 2;
  const size_t size = blocks * kBlockSize;
  memset(tail + used, 0, size - used);
  const uint64_t before = job.midstate != nullptr ? kBlockSize : 0;
  const uint64_t bits = (before + job.size + job.suffix_size) * 8;
  if (Family::kBigEndian) {
    store32be(tail + size - 8, static_cast<uint32_t>(bits >> 32));
    store32be(tail + size - 4, static_cast<uint32_t>(bits));
  } else {
    store32le(tail + size - 8, static_cast<uint32_t>(bits));
    store32le(tail + size - 4, static_cast<uint32_t>(bits >> 32));
  }
  return blocks;
}

/// Returns the calls of the kernel.
template <class Family>
size_t run(const BlockKernel& kernel, Lanes& lanes, const HashJob* jobs, size_t count) {
  const size_t width = kernel.lanes;
  size_t calls = 0;
  const HashJob* next = jobs;
  const HashJob* const end = jobs + count;

  const auto start = [&](size_t lane) {
    const HashJob& job = *next++;
    const uint32_t* state = job.midstate != nullptr ? job.midstate : Family::initial_state();
    for (size_t i = 0; i < Family::kWords; i++) lanes.state[i * width + lane] = state[i];
    lanes.jobs[lane] = &job;
    const size_t tail_blocks = pad<Family>(job, lanes.tails[lane]);
    const size_t body_blocks = job.size / kBlockSize;
    lanes.blocks[lane] = body_blocks != 0 ? job.data : lanes.tails[lane];
    lanes.left[lane] = body_blocks != 0 ? body_blocks : tail_blocks;
    lanes.tail_blocks[lane] = body_blocks != 0 ? tail_blocks : 0;
  };

  for (size_t lane = 0; lane < width; lane++) lanes.left[lane] = 0;
  for (size_t lane = 0; lane < width && next != end; lane++) start(lane);

  for (;;) {
    size_t busy = width;
    size_t step = SIZE_MAX;
    for (size_t lane = 0; lane < width; lane++) {
      if (lanes.left[lane] == 0) continue;
      busy = lane;
      step = std::min(step, lanes.left[lane]);
    }
    if (busy == width) return calls;
    // Idle lanes read along with a busy one; nobody looks at what they compute.
    for (size_t lane = 0; lane < width; lane++) {
      if (lanes.left[lane] == 0) lanes.blocks[lane] = lanes.blocks[busy];
    }
    kernel.compress(lanes.state, lanes.blocks, step);
    calls++;
    for (size_t lane = 0; lane < width; lane++) {
      if (lanes.left[lane] == 0) continue;
      lanes.blocks[lane] += step * kBlockSize;
      lanes.left[lane] -= step;
      if (lanes.left[lane] != 0) continue;
      if (lanes.tail_blocks[lane] != 0) {
        lanes.blocks[lane] = lanes.tails[lane];
        lanes.left[lane] = lanes.tail_blocks[lane];
        lanes.tail_blocks[lane] = 0;
        continue;
      }
      for (size_t i = 0; i < Family::kWords; i++) {
        uint8_t* out = lanes.jobs[lane]->digest + 4 * i;
        const uint32_t word = lanes.state[i * width + lane];
        if (Family::kBigEndian) {
          store32be(out, word);
        } else {
          store32le(out, word);
        }
      }
      if (next != end) start(lane);
    }
  }
}

template <class Family>
void run_all(const Cover<BlockKernel>& cover, const HashJob* jobs, size_t count) {
  Wiped<Lanes> lanes;
  while (count != 0) {
    const Width<BlockKernel>& width = cover.next(count);
    // What one width takes in a row is one run, in which a lane that is done goes on with the next job.
    size_t n = 0;
    do {
      n += std::min(width.kernel.lanes, count - n);
    } while (n != count && &cover.next(count - n) == &width);
    width.calls += run<Family>(width.kernel, *lanes, jobs, n);
    jobs += n;
    count -= n;
  }
}

}  // namespace

void md4_batch(const Plan& plan, const HashJob* jobs, size_t count) { run_all<Md4Family>(plan.md4, jobs, count); }

void md5_batch(const Plan& plan, const HashJob* jobs, size_t count) { run_all<Md4Family>(plan.md5, jobs, count); }

void sha256_batch(const Plan& plan, const HashJob* jobs, size_t count) {
  run_all<Sha256Family>(plan.sha256, jobs, count);
}

void hmac_keys(const Plan& plan, const Slice* keys, size_t count, HmacKey* out) {
  struct Scratch {
    alignas(kAlignment) uint32_t state[8 * kMaxBlockLanes];
    uint8_t pads[kMaxBlockLanes][kBlockSize];
    const uint8_t* blocks[kMaxBlockLanes];
    HashJob jobs[kMaxBlockLanes];
  };
  Wiped<Scratch> scratch;
  for (size_t begin = 0; begin < count;) {
    const Width<BlockKernel>& chosen = plan.sha256.next(count - begin);
    const size_t width = chosen.kernel.lanes;
    const size_t n = std::min(width, count - begin);
    memset(scratch->pads, 0, sizeof scratch->pads);
    size_t long_keys = 0;
    for (size_t lane = 0; lane < n; lane++) {
      const Slice& key = keys[begin + lane];
      if (key.size <= kBlockSize) {
        if (key.size != 0) memcpy(scratch->pads[lane], key.data, key.size);
      } else {
        scratch->jobs[long_keys++] = {key.data, key.size, nullptr, 0, scratch->pads[lane], nullptr};
      }
    }
    if (long_keys != 0) sha256_batch(plan, scratch->jobs, long_keys);
    for (size_t lane = 0; lane < width; lane++) scratch->blocks[lane] = scratch->pads[lane];
    // 0x6a = 0x36 ^ 0x5c turns the ipad block into the opad block.
    constexpr uint8_t kMasks[2] = {0x36, 0x36 ^ 0x5c};
    for (size_t half = 0; half < 2; half++) {
      for (size_t lane = 0; lane < width; lane++) {
        for (size_t i = 0; i < kBlockSize; i++) scratch->pads[lane][i] ^= kMasks[half];
        for (size_t i = 0; i < 8; i++) scratch->state[i * width + lane] = kSha256InitialState[i];
      }
      chosen.kernel.compress(scratch->state, scratch->blocks, 1);
      for (size_t lane = 0; lane < n; lane++) {
        uint32_t* words = half == 0 ? out[begin + lane].inner : out[begin + lane].outer;
        for (size_t i = 0; i < 8; i++) words[i] = scratch->state[i * width + lane];
      }
    }
    chosen.calls += 2;
    begin += n;
  }
}

void hmac_sha256_batch(const Plan& plan, const Slice* keys, const Slice* messages, size_t count, uint8_t* digests) {
  const size_t slice = std::min(kSliceJobs, count);
  WipedArray<HmacKey> states(slice);
  WipedArray<Digest> inner(slice);
  std::vector<HashJob> jobs(slice);
  for (size_t begin = 0; begin < count; begin += slice) {
    const size_t n = std::min(slice, count - begin);
    hmac_keys(plan, keys + begin, n, states.data());
    for (size_t i = 0; i < n; i++) {
      const Slice& message = messages[begin + i];
      jobs[i] = {message.data, message.size, nullptr, 0, inner[i].bytes, states[i].inner};
    }
    sha256_batch(plan, jobs.data(), n);
    for (size_t i = 0; i < n; i++) {
      jobs[i] = {inner[i].bytes, kDigestSize, nullptr, 0, digests + kDigestSize * (begin + i), states[i].outer};
    }
    sha256_batch(plan, jobs.data(), n);
  }
}

void pbkdf2_batch(const Plan& plan, const Pbkdf2Job* jobs, size_t count, uint32_t iterations) {
  struct Scratch {
    alignas(kAlignment) uint32_t inner[8 * kMaxLanes];
    alignas(kAlignment) uint32_t outer[8 * kMaxLanes];
    alignas(kAlignment) uint32_t u[8 * kMaxLanes];
    alignas(kAlignment) uint32_t t[8 * kMaxLanes];
  };
  WipedArray<Digest> digests(count);
  std::vector<std::array<uint8_t, 4>> indices(count);
  std::vector<HashJob> hashes(count);
  // U_1 of all, because its kernels are of other widths than those of the rounds.
  for (size_t i = 0; i < count; i++) {
    const Pbkdf2Job& job = jobs[i];
    store32be(indices[i].data(), job.index);
    hashes[i] = {job.salt.data, job.salt.size, indices[i].data(), 4, digests[i].bytes, job.key->inner};
  }
  sha256_batch(plan, hashes.data(), count);
  for (size_t i = 0; i < count; i++) {
    hashes[i] = {digests[i].bytes, kDigestSize, nullptr, 0, digests[i].bytes, jobs[i].key->outer};
  }
  sha256_batch(plan, hashes.data(), count);
  Wiped<Scratch> scratch;
  for (size_t begin = 0; begin < count && iterations > 1;) {
    const Width<Pbkdf2Kernel>& width = plan.pbkdf2.next(count - begin);
    const size_t lanes = width.kernel.lanes;
    const size_t stride = lane_stride(lanes);
    const size_t n = std::min(lanes, count - begin);
    for (size_t lane = 0; lane < lanes; lane++) {
      // Idle lanes repeat the last job.
      const size_t source = begin + std::min(lane, n - 1);
      for (size_t i = 0; i < 8; i++) {
        scratch->inner[i * stride + lane] = jobs[source].key->inner[i];
        scratch->outer[i * stride + lane] = jobs[source].key->outer[i];
        scratch->u[i * stride + lane] = load32be(digests[source].bytes + 4 * i);
      }
    }
    memcpy(scratch->t, scratch->u, 8 * stride * sizeof *scratch->u);
    width.kernel.rounds(scratch->inner, scratch->outer, scratch->u, scratch->t, iterations - 1);
    width.calls++;
    for (size_t lane = 0; lane < n; lane++) {
      for (size_t i = 0; i < 8; i++) store32be(digests[begin + lane].bytes + 4 * i, scratch->t[i * stride + lane]);
    }
    begin += n;
  }
  for (size_t i = 0; i < count; i++) memcpy(jobs[i].out, digests[i].bytes, jobs[i].size);
}

void pbkdf2_many(const Plan& plan, const Slice* passwords, const Slice* salts, size_t count, uint32_t iterations,
                 size_t dk_len, uint8_t* derived_keys) {
  const size_t blocks = (dk_len + kDigestSize - 1) / kDigestSize;
  const size_t slice = slice_jobs(plan);
  const size_t most = std::min(slice, count);
  WipedArray<HmacKey> keys(most);
  std::vector<Pbkdf2Job> jobs;
  for (size_t begin = 0; begin < count; begin += slice) {
    const size_t n = std::min(slice, count - begin);
    hmac_keys(plan, passwords + begin, n, keys.data());
    // The blocks of all passwords of the slice are one row of jobs: one password with many blocks fills the lanes too.
    for (size_t i = 0; i < n; i++) {
      uint8_t* out = derived_keys + (begin + i) * dk_len;
      for (size_t block = 0; block < blocks; block++) {
        jobs.push_back({&keys[i], salts[begin + i], static_cast<uint32_t>(block + 1), out + block * kDigestSize,
                        std::min(kDigestSize, dk_len - block * kDigestSize)});
        if (jobs.size() < slice) continue;
        pbkdf2_batch(plan, jobs.data(), jobs.size(), iterations);
        jobs.clear();
      }
    }
    pbkdf2_batch(plan, jobs.data(), jobs.size(), iterations);
    jobs.clear();
  }
}

}  // namespace phsync
