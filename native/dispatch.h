// Which kernels are in this binary, which of them this machine runs, and what is made of them.
#ifndef PHSYNC_DISPATCH_H_
#define PHSYNC_DISPATCH_H_

#include <string>
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

/// One width of one ISA alone, as `avx2:8`: so that tests and benchmarks reach those too that no plan takes here.
struct SingleWidth {
  std::string name;
  /// PBKDF2 in this width only; the other algorithms as the ISA's plan has them.
  Plan plan;
};

/// Found and measured at the first call, once for the process.
struct Machine {
  /// In this binary: what is supported, cheapest PBKDF2 of large batches first, then the others.
  std::vector<Kernel> kernels;
  Widths widths;
  /// One for each of `widths.pbkdf2`.
  std::vector<SingleWidth> single_widths;
  /// Of all widths that this machine runs.
  Plan plan;
  double measurement_nanoseconds;
};

const Machine& machine();

}  // namespace phsync

#endif
