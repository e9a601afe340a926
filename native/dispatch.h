// Which kernels are in this binary, which of them this machine runs, and what is made of them.
#ifndef PHSYNC_DISPATCH_H_
#define PHSYNC_DISPATCH_H_

#include <vector>

#include "measure.h"
#include "plan.h"

namespace phsync {

struct Kernel {
  const char* name;
  bool supported;
  /// Of the ISA's own widths only; for an algorithm that the ISA has no alternative for, the machine's. Empty where
  /// not supported.
  Plan plan;
};

/// Found and measured at the first call, once for the process.
struct Machine {
  /// In this binary: what is supported, cheapest PBKDF2 of large batches first, then the others.
  std::vector<Kernel> kernels;
  Widths widths;
  /// Of all widths that this machine runs.
  Plan plan;
  double measurement_nanoseconds;
};

const Machine& machine();

}  // namespace phsync

#endif
