// PHSYNC_INLINE: kernels are fully unrolled, and a call in the middle would push every live vector to the stack.
#ifndef PHSYNC_KERNELS_GENERIC_INLINE_H_
#define PHSYNC_KERNELS_GENERIC_INLINE_H_

#if defined(_MSC_VER) && !defined(__clang__)
#define PHSYNC_INLINE __forceinline
#else
#define PHSYNC_INLINE inline __attribute__((always_inline))
#endif

#endif
