// Wiping memory so that the optimizer keeps it.
#ifndef PHSYNC_SECURE_ZERO_H_
#define PHSYNC_SECURE_ZERO_H_

#include <stddef.h>
#include <string.h>

#include <type_traits>

#if defined(_MSC_VER) && !defined(__clang__)
#define PHSYNC_NOINLINE __declspec(noinline)
#else
#define PHSYNC_NOINLINE __attribute__((noinline))
#endif

namespace phsync {

inline void secure_zero(void* buffer, size_t size) {
#if defined(_MSC_VER) && !defined(__clang__)
  volatile unsigned char* p = static_cast<volatile unsigned char*>(buffer);
  while (size-- > 0) *p++ = 0;
#else
  memset(buffer, 0, size);
  // The buffer may be read here, as far as the compiler knows.
  __asm__ __volatile__("" : : "r"(buffer) : "memory");
#endif
}

/// Overwrites the stack below the caller, where the functions that it called kept spilled registers and locals.
/// The deepest of ours, the AVX-512 kernel with a frame of 7.3 KiB, fits three times.
PHSYNC_NOINLINE inline void wipe_stack() {
  unsigned char region[24 * 1024];
  secure_zero(region, sizeof region);
}

/// A heap object that is zero at the start and wiped at the end; for everything that holds keys, hashes or states.
template <class T>
class Wiped {
 public:
  Wiped() : value_(new T()) {}
  ~Wiped() {
    secure_zero(value_, sizeof *value_);
    delete value_;
  }
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  T* operator->() { return value_; }
  T& operator*() { return *value_; }

 private:
  T* value_;
};

/// `size` of T, not initialized and wiped at the end.
template <class T>
class WipedArray {
  static_assert(std::is_trivial<T>::value, "what is wiped needs no destructor");

 public:
  explicit WipedArray(size_t size) : size_(size), items_(new T[size]) {}
  ~WipedArray() {
    secure_zero(items_, size_ * sizeof(T));
    delete[] items_;
  }
  WipedArray(const WipedArray&) = delete;
  WipedArray& operator=(const WipedArray&) = delete;
  T& operator[](size_t i) { return items_[i]; }
  T* data() { return items_; }

 private:
  size_t size_;
  T* items_;
};

}  // namespace phsync

#endif
