// What the fuzz targets choose from, and what they compare with.
#ifndef PHSYNC_TEST_FUZZ_PLANS_H_
#define PHSYNC_TEST_FUZZ_PLANS_H_

#include <stdlib.h>
#include <string.h>

#include <string>
#include <vector>

#include "../dispatch.h"

namespace phsync {

struct NamedPlan {
  std::string name;
  const Plan* plan;
};

/// The machine's own plan, every ISA's that runs here, and every width alone.
inline const std::vector<NamedPlan>& plans() {
  static const std::vector<NamedPlan> result = [] {
    std::vector<NamedPlan> list = {{"auto", &machine().plan}};
    for (const Kernel& kernel : machine().kernels) {
      if (kernel.supported) list.push_back({kernel.name, &kernel.plan});
    }
    for (const SingleWidth& width : machine().single_widths) list.push_back({width.name, &width.plan});
    return list;
  }();
  return result;
}

inline const Plan& portable() {
  static const Plan& result = [&]() -> const Plan& {
    for (const Kernel& kernel : machine().kernels) {
      if (strcmp(kernel.name, "portable") == 0) return kernel.plan;
    }
    abort();
  }();
  return result;
}

}  // namespace phsync

#endif
