// Which kernels are in this binary, and which of them this machine runs.
#ifndef PHSYNC_DISPATCH_H_
#define PHSYNC_DISPATCH_H_

#include <vector>

#include "kernels/kernels.h"

namespace phsync {

struct Kernel {
  bool supported;
  /// Complete: where the ISA has no alternative for an algorithm, the next best supported kernel's stands in.
  KernelTable table;
};

/// In this binary, best first. The list is made once and does not change.
const std::vector<Kernel>& kernels();

}  // namespace phsync

#endif
