// Which kernels are in this binary, and which of them this machine runs.
#ifndef PHSYNC_DISPATCH_H_
#define PHSYNC_DISPATCH_H_

#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace phsync {

/// In this binary, best first.
std::vector<const KernelTable*> compiled_kernels();
bool is_supported(const KernelTable& kernel);

/// The table of that name.
/// Null where the name is not compiled in or not supported.
const KernelTable* find_kernel(const std::string& name);

}  // namespace phsync

#endif
