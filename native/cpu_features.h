// What the CPU can do and the operating system lets us use.
#ifndef PHSYNC_CPU_FEATURES_H_
#define PHSYNC_CPU_FEATURES_H_

namespace phsync {

struct CpuFeatures {
  bool ssse3 = false;
  bool sse41 = false;
  /// AVX and up count only where the OS saves the registers (OSXSAVE, then XCR0).
  bool avx = false;
  bool avx2 = false;
  bool avx512f = false;
  bool avx512bw = false;
  bool avx512vl = false;
  bool sha_ni = false;
  bool neon = false;
  /// ARMv8's SHA-256 instructions (FEAT_SHA256).
  bool arm_sha2 = false;
};

/// Found once for the process.
const CpuFeatures& cpu_features();

}  // namespace phsync

#endif
