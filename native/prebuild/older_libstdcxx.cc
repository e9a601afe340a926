// What the headers of newer GCC use and libstdc++ and glibc have since lately only, for the prebuilt addons, which are to
// run with GCC 8's and 2.28 (RHEL 8, the least that Node.js 20 asks for). Linked into an addon, it needs no such symbol
// from outside.
#include <new>

namespace std {

// GLIBCXX_3.4.29 (GCC 11): std::vector and new T[n] call it for sizes beyond the address space.
[[noreturn]] __attribute__((visibility("hidden"))) void __throw_bad_array_new_length() { throw bad_array_new_length(); }

}  // namespace std

// glibc 2.32: std::shared_ptr asks whether it may count without atomic instructions. It may not.
extern "C" __attribute__((visibility("hidden"))) char __libc_single_threaded;
char __libc_single_threaded = 0;
