// What each width costs here, by a short run of each.
#ifndef PHSYNC_MEASURE_H_
#define PHSYNC_MEASURE_H_

#include <deque>

#include "plan.h"

namespace phsync {

/// Every width that this machine runs. A deque, because plans point into it.
struct Widths {
  std::deque<Width<BlockKernel>> md4;
  std::deque<Width<BlockKernel>> md5;
  std::deque<Width<BlockKernel>> sha256;
  std::deque<Width<Pbkdf2Kernel>> pbkdf2;
};

/// Sets `nanoseconds` of every width. Returns the nanoseconds that the measurement itself took: 1 to 3 ms on current
/// machines, longer only where a few passes over all widths take longer.
double measure(Widths& widths);

}  // namespace phsync

#endif
