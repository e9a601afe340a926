// PHSYNC_INLINE: rounds are unrolled, and a call in the middle would push every live vector to the stack.
// Include this before any code of the kernels: it also sets how the compiler treats them.
#ifndef PHSYNC_KERNELS_GENERIC_INLINE_H_
#define PHSYNC_KERNELS_GENERIC_INLINE_H_

#if defined(__GNUC__) && !defined(__clang__)
// GCC reorders the sums, which are bracketed for latency (836 cycles a vector instead of 640 with AVX-512 on Zen 5), its
// scheduler lengthens the lives of values until they are spilled, and what PRE finds computed twice is carried from turn
// to turn of a loop through the stack (866 cycles a Pair instead of 843). There is nothing left to vectorize. With ARM's
// 32 registers the scheduler does no harm, and cores that run in order need it (12 % fewer cycles a vector for Cortex-A53,
// says llvm-mca; not measured on hardware).
#pragma GCC optimize("no-tree-reassoc")
#if !defined(__aarch64__)
#pragma GCC optimize("no-schedule-insns2", "no-tree-pre", "no-tree-vectorize", "no-tree-slp-vectorize")
#endif
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#define PHSYNC_INLINE __forceinline
#else
#define PHSYNC_INLINE inline __attribute__((always_inline))
#endif

#endif
