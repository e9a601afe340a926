// CPUID leaves 1 and 7 and XCR0 (Intel SDM volume 2A, CPUID; volume 1, section 13.3); on ARM64, whose ID registers are
// the operating system's, what that says of them.
#include "cpu_features.h"

#include <stdint.h>

#if defined(__x86_64__) || defined(__i386__) || defined(_M_X64) || defined(_M_IX86)
#define PHSYNC_X86 1
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#elif defined(__aarch64__) || defined(_M_ARM64)
#define PHSYNC_ARM64 1
#if defined(__linux__)
#include <sys/auxv.h>
#if !defined(HWCAP_SHA2)  // glibc and musl bring it with auxv.h, Android does not
#include <asm/hwcap.h>
#endif
#elif defined(_WIN32)
#include <windows.h>
#endif
#endif

namespace phsync {
namespace {

#if defined(PHSYNC_X86)

struct Registers {
  uint32_t eax, ebx, ecx, edx;
};

Registers cpuid(uint32_t leaf, uint32_t subleaf) {
  Registers r = {};
#if defined(_MSC_VER)
  int out[4];
  __cpuidex(out, static_cast<int>(leaf), static_cast<int>(subleaf));
  r = {static_cast<uint32_t>(out[0]), static_cast<uint32_t>(out[1]), static_cast<uint32_t>(out[2]),
       static_cast<uint32_t>(out[3])};
#else
  __cpuid_count(leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx);
#endif
  return r;
}

uint64_t xgetbv0() {
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  uint32_t low, high;
  __asm__ __volatile__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
#endif
}

bool bit(uint32_t word, int n) { return (word >> n & 1) != 0; }

CpuFeatures detect() {
  CpuFeatures f;
  const uint32_t max_leaf = cpuid(0, 0).eax;
  if (max_leaf < 1) return f;
  const Registers one = cpuid(1, 0);
  f.ssse3 = bit(one.ecx, 9);
  f.sse41 = bit(one.ecx, 19);
  const bool osxsave = bit(one.ecx, 27);
  // XGETBV is itself an invalid opcode where OSXSAVE is clear.
  const uint64_t xcr0 = osxsave ? xgetbv0() : 0;
  constexpr uint64_t kYmm = 0x6;    // SSE and AVX state
  constexpr uint64_t kZmm = 0xe6;   // and opmask, ZMM_Hi256, Hi16_ZMM
  const bool ymm = (xcr0 & kYmm) == kYmm;
  const bool zmm = (xcr0 & kZmm) == kZmm;
  f.avx = ymm && bit(one.ecx, 28);
  if (max_leaf < 7) return f;
  const Registers seven = cpuid(7, 0);
  f.avx2 = f.avx && bit(seven.ebx, 5);
  f.avx512f = f.avx2 && zmm && bit(seven.ebx, 16);
  f.avx512bw = f.avx512f && bit(seven.ebx, 30);
  f.avx512vl = f.avx512f && bit(seven.ebx, 31);
  f.sha_ni = bit(seven.ebx, 29);
  return f;
}

#elif defined(PHSYNC_ARM64)

bool has_sha2() {
#if defined(__linux__)
  return (getauxval(AT_HWCAP) & HWCAP_SHA2) != 0;
#elif defined(__APPLE__)
  return true;  // Every Apple silicon has them; macOS 11 has no sysctl to ask.
#elif defined(_WIN32)
  return IsProcessorFeaturePresent(PF_ARM_V8_CRYPTO_INSTRUCTIONS_AVAILABLE) != 0;
#else
  return false;
#endif
}

CpuFeatures detect() {
  CpuFeatures f;
  f.neon = true;  // Advanced SIMD is part of the AArch64 base.
  f.arm_sha2 = has_sha2();
  return f;
}

#else

CpuFeatures detect() { return {}; }

#endif

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

}  // namespace phsync
