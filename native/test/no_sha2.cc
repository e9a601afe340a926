// A library to preload: to whom it may concern, this ARM CPU has no SHA-256 instructions. (QEMU 7.2 has no model of such
// a CPU, for example Raspberry Pi 3 and 4.)
#include <dlfcn.h>
#include <sys/auxv.h>

extern "C" __attribute__((visibility("default"))) unsigned long getauxval(unsigned long type) {
  static const auto real = reinterpret_cast<decltype(&getauxval)>(dlsym(RTLD_NEXT, "getauxval"));
  const unsigned long value = real(type);
  return type == AT_HWCAP ? value & ~static_cast<unsigned long>(HWCAP_SHA2) : value;
}
