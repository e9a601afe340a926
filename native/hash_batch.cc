// Jobs to lanes: a lane that is done with its message takes the next one, so unequal lengths cost no idle lanes but
// at the end.
#include "hash_batch.h"

#include <string.h>

#include <algorithm>

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

struct Lanes {
  alignas(kAlignment) uint32_t state[8 * kMaxLanes];
  uint8_t tails[kMaxLanes][kTailSize];
  const uint8_t* blocks[kMaxLanes];
  /// Blocks left in the phase that the lane is in; 0 = the lane is idle.
  size_t left[kMaxLanes];
  /// Blocks of the tail that stand behind the phase.
  size_t tail_blocks[kMaxLanes];
  const HashJob* jobs[kMaxLanes];
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

template <class Family>
void run(const BlockKernel& kernel, Lanes& lanes, const HashJob* jobs, size_t count) {
  const size_t width = kernel.lanes;
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
    if (busy == width) return;
    // Idle lanes read along with a busy one; nobody looks at what they compute.
    for (size_t lane = 0; lane < width; lane++) {
      if (lanes.left[lane] == 0) lanes.blocks[lane] = lanes.blocks[busy];
    }
    kernel.compress(lanes.state, lanes.blocks, step);
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
void run_wiped(const BlockKernel& kernel, const HashJob* jobs, size_t count) {
  Wiped<Lanes> lanes;
  run<Family>(kernel, *lanes, jobs, count);
}

constexpr size_t kSliceJobs = 256;

}  // namespace

void md4_batch(const KernelTable& kernel, const HashJob* jobs, size_t count) {
  run_wiped<Md4Family>(kernel.md4, jobs, count);
}

void md5_batch(const KernelTable& kernel, const HashJob* jobs, size_t count) {
  run_wiped<Md4Family>(kernel.md5, jobs, count);
}

void sha256_batch(const KernelTable& kernel, const HashJob* jobs, size_t count) {
  run_wiped<Sha256Family>(kernel.sha256, jobs, count);
}

void hmac_keys(const KernelTable& kernel, const Slice* keys, size_t count, HmacKey* out) {
  struct Scratch {
    alignas(kAlignment) uint32_t state[8 * kMaxLanes];
    uint8_t pads[kMaxLanes][kBlockSize];
    const uint8_t* blocks[kMaxLanes];
    HashJob jobs[kMaxLanes];
  };
  Wiped<Scratch> scratch;
  const size_t width = kernel.sha256.lanes;
  for (size_t begin = 0; begin < count; begin += width) {
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
    if (long_keys != 0) sha256_batch(kernel, scratch->jobs, long_keys);
    for (size_t lane = 0; lane < width; lane++) scratch->blocks[lane] = scratch->pads[lane];
    // 0x6a = 0x36 ^ 0x5c turns the ipad block into the opad block.
    constexpr uint8_t kMasks[2] = {0x36, 0x36 ^ 0x5c};
    for (size_t half = 0; half < 2; half++) {
      for (size_t lane = 0; lane < width; lane++) {
        for (size_t i = 0; i < kBlockSize; i++) scratch->pads[lane][i] ^= kMasks[half];
        for (size_t i = 0; i < 8; i++) scratch->state[i * width + lane] = kSha256InitialState[i];
      }
      kernel.sha256.compress(scratch->state, scratch->blocks, 1);
      for (size_t lane = 0; lane < n; lane++) {
        uint32_t* words = half == 0 ? out[begin + lane].inner : out[begin + lane].outer;
        for (size_t i = 0; i < 8; i++) words[i] = scratch->state[i * width + lane];
      }
    }
  }
}

void hmac_sha256_batch(const KernelTable& kernel, const Slice* keys, const Slice* messages, size_t count,
                       uint8_t* digests) {
  struct Scratch {
    HmacKey keys[kSliceJobs];
    HashJob jobs[kSliceJobs];
    uint8_t inner[kSliceJobs][32];
  };
  Wiped<Scratch> scratch;
  for (size_t begin = 0; begin < count; begin += kSliceJobs) {
    const size_t n = std::min(kSliceJobs, count - begin);
    hmac_keys(kernel, keys + begin, n, scratch->keys);
    for (size_t i = 0; i < n; i++) {
      const Slice& message = messages[begin + i];
      scratch->jobs[i] = {message.data, message.size, nullptr, 0, scratch->inner[i], scratch->keys[i].inner};
    }
    sha256_batch(kernel, scratch->jobs, n);
    for (size_t i = 0; i < n; i++) {
      scratch->jobs[i] = {scratch->inner[i], 32, nullptr, 0, digests + 32 * (begin + i), scratch->keys[i].outer};
    }
    sha256_batch(kernel, scratch->jobs, n);
  }
}

void pbkdf2_batch(const KernelTable& kernel, const Pbkdf2Job* jobs, size_t count, uint32_t iterations) {
  struct Scratch {
    alignas(kAlignment) uint32_t inner[8 * kMaxLanes];
    alignas(kAlignment) uint32_t outer[8 * kMaxLanes];
    alignas(kAlignment) uint32_t u[8 * kMaxLanes];
    alignas(kAlignment) uint32_t t[8 * kMaxLanes];
    HashJob jobs[kMaxLanes];
    uint8_t index[kMaxLanes][4];
    uint8_t digests[kMaxLanes][32];
  };
  Wiped<Scratch> scratch;
  for (size_t begin = 0; begin < count;) {
    // The widest that is more than half filled: emptier, it costs as much as the narrower kernel's turns, or more.
    const Pbkdf2Kernel* choice = kernel.pbkdf2;
    for (size_t i = 1; i < kMaxWidths && kernel.pbkdf2[i].lanes != 0 && 2 * (count - begin) <= choice->lanes; i++) {
      choice = kernel.pbkdf2 + i;
    }
    const Pbkdf2Kernel& pbkdf2 = *choice;
    const size_t width = pbkdf2.lanes;
    const size_t stride = lane_stride(width);
    const size_t n = std::min(width, count - begin);
    for (size_t i = 0; i < n; i++) {
      const Pbkdf2Job& job = jobs[begin + i];
      store32be(scratch->index[i], job.index);
      scratch->jobs[i] = {job.salt.data, job.salt.size, scratch->index[i], 4, scratch->digests[i], job.key->inner};
    }
    sha256_batch(kernel, scratch->jobs, n);
    for (size_t i = 0; i < n; i++) {
      scratch->jobs[i] = {scratch->digests[i], 32, nullptr, 0, scratch->digests[i], jobs[begin + i].key->outer};
    }
    sha256_batch(kernel, scratch->jobs, n);
    for (size_t lane = 0; lane < width; lane++) {
      // Idle lanes repeat the last job.
      const size_t source = std::min(lane, n - 1);
      for (size_t i = 0; i < 8; i++) {
        scratch->inner[i * stride + lane] = jobs[begin + source].key->inner[i];
        scratch->outer[i * stride + lane] = jobs[begin + source].key->outer[i];
        const uint32_t word = load32be(scratch->digests[source] + 4 * i);
        scratch->u[i * stride + lane] = word;
        scratch->t[i * stride + lane] = word;
      }
    }
    if (iterations > 1) pbkdf2.rounds(scratch->inner, scratch->outer, scratch->u, scratch->t, iterations - 1);
    for (size_t lane = 0; lane < n; lane++) {
      for (size_t i = 0; i < 8; i++) store32be(scratch->digests[lane] + 4 * i, scratch->t[i * stride + lane]);
      memcpy(jobs[begin + lane].out, scratch->digests[lane], jobs[begin + lane].size);
    }
    begin += n;
  }
}

void pbkdf2_many(const KernelTable& kernel, const Slice* passwords, const Slice* salts, size_t count,
                 uint32_t iterations, size_t dk_len, uint8_t* derived_keys) {
  struct Scratch {
    HmacKey keys[kSliceJobs];
    Pbkdf2Job jobs[kSliceJobs];
  };
  Wiped<Scratch> scratch;
  const size_t blocks = (dk_len + 31) / 32;
  for (size_t begin = 0; begin < count; begin += kSliceJobs) {
    const size_t n = std::min(kSliceJobs, count - begin);
    hmac_keys(kernel, passwords + begin, n, scratch->keys);
    // The blocks of all passwords of the slice are one row of jobs: one password with many blocks fills the lanes too.
    size_t queued = 0;
    for (size_t i = 0; i < n; i++) {
      uint8_t* out = derived_keys + (begin + i) * dk_len;
      for (size_t block = 0; block < blocks; block++) {
        scratch->jobs[queued++] = {&scratch->keys[i], salts[begin + i], static_cast<uint32_t>(block + 1),
                                   out + block * 32, std::min<size_t>(32, dk_len - block * 32)};
        if (queued < kSliceJobs) continue;
        pbkdf2_batch(kernel, scratch->jobs, queued, iterations);
        queued = 0;
      }
    }
    pbkdf2_batch(kernel, scratch->jobs, queued, iterations);
  }
}

}  // namespace phsync
