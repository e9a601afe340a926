// The contract between the lane schedulers and the kernels: types only, so that no code is shared between ISAs.
#ifndef PHSYNC_KERNELS_KERNELS_H_
#define PHSYNC_KERNELS_KERNELS_H_

#include <stddef.h>
#include <stdint.h>

namespace phsync {

/// No kernel has more lanes than this.
constexpr size_t kMaxLanes = 64;
/// Nor one for MD4, MD5 or SHA-256 more than this.
constexpr size_t kMaxBlockLanes = 16;
constexpr size_t kBlockSize = 64;
/// Vectors are loaded and stored aligned: every `state` array that a kernel is given starts on such a boundary.
constexpr size_t kAlignment = 64;

/// The compression function of MD4, MD5 or SHA-256 over all lanes at once. 0 lanes mean that the ISA has no alternative
/// for this algorithm.
struct BlockKernel {
  size_t lanes;
  /// `state` is [word][lane]; lane l reads `count` blocks of 64 bytes at `blocks[l]`, at any alignment.
  void (*compress)(uint32_t* state, const uint8_t* const* blocks, size_t count);
};

/// How far apart the words of a PBKDF2 array stand, in words: whole cache lines, so that every row of it is aligned
/// whatever the number of lanes. What lies behind the last lane has no meaning.
static constexpr size_t lane_stride(size_t lanes) { return (lanes + 15) / 16 * 16; }

/// Rounds 2 to c of PBKDF2-HMAC-SHA256.
struct Pbkdf2Kernel {
  /// 1 to kMaxLanes; not always a power of two.
  size_t lanes;
  /// All arrays are [8][lane_stride(lanes)]. `inner` and `outer` are the SHA-256 states after the ipad and opad block,
  /// `u` comes in as U_1 (wiped on return), `t` comes in as U_1 and goes out as U_1 ^ … ^ U_(rounds + 1).
  void (*rounds)(const uint32_t* inner, const uint32_t* outer, uint32_t* u, uint32_t* t, uint32_t rounds);
};

/// An ISA offers PBKDF2 in up to so many widths.
constexpr size_t kMaxWidths = 4;

/// What one ISA offers.
struct KernelTable {
  const char* name;
  BlockKernel md4;
  BlockKernel md5;
  BlockKernel sha256;
  /// Widest first; 0 lanes end the list. At least one.
  Pbkdf2Kernel pbkdf2[kMaxWidths];
};

extern const KernelTable kPortableKernel;
extern const KernelTable kSse41Kernel;
extern const KernelTable kAvx2Kernel;
extern const KernelTable kAvx512Kernel;
extern const KernelTable kShaniKernel;
extern const KernelTable kNeonKernel;
extern const KernelTable kArmSha2Kernel;

}  // namespace phsync

#endif
