// Wiping inside a kernel; secure_zero.h is an inline function of the addon and must not be shared with an ISA's code.
#ifndef PHSYNC_KERNELS_GENERIC_WIPE_H_
#define PHSYNC_KERNELS_GENERIC_WIPE_H_

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "inline.h"

namespace phsync {
namespace {

/// memset that stays: the buffer is dead afterwards, and the optimizer knows.
PHSYNC_INLINE void wipe(void* buffer, size_t size) {
#if defined(_MSC_VER) && !defined(__clang__)
  volatile uint8_t* p = static_cast<volatile uint8_t*>(buffer);
  for (size_t i = 0; i < size; i++) p[i] = 0;
#else
  memset(buffer, 0, size);
  __asm__ __volatile__("" : : "r"(buffer) : "memory");
#endif
}

}  // namespace
}  // namespace phsync

#endif
