// libstdc++'s headers over musl's C library, for the prebuilt addon: included before everything else. Debian has
// libstdc++ configured for glibc only; what its headers take from there and musl lacks is put right here. None of it
// is in the layout of a type that the addon hands to libstdc++.
#ifdef __cplusplus
#define __GLIBC_PREREQ(major, minor) 0
#define __locale_t locale_t
// As GCC itself has it for musl (libgcc/gthr.h): threads are always there, nothing of them is weak.
#define _GLIBCXX_GTHREAD_USE_WEAK 0
#include <bits/c++config.h>
#undef _GLIBCXX_USE_PTHREAD_COND_CLOCKWAIT
#undef _GLIBCXX_USE_PTHREAD_MUTEX_CLOCKLOCK
#undef _GLIBCXX_USE_PTHREAD_RWLOCK_CLOCKLOCK
#endif
