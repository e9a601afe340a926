// What the headers of newer GCC call and libstdc++ has since lately only, for the prebuilt addon, which is to run with
// GCC 8's (RHEL 8, the least that Node.js 20 asks for). Linked into the addon, it needs no such symbol from outside.
#include <new>

namespace std {

// GLIBCXX_3.4.29 (GCC 11): std::vector and new T[n] call it for sizes beyond the address space.
[[noreturn]] __attribute__((visibility("hidden"))) void __throw_bad_array_new_length() { throw bad_array_new_length(); }

}  // namespace std
