// The best-first list of kernels and the choice by name.
#include "dispatch.h"

#include "cpu_features.h"

namespace phsync {
namespace {

struct Entry {
  const KernelTable* table;
  bool (*supported)(const CpuFeatures&);
};

// Best first, by measurement. PHSYNC_X86_KERNELS comes from the build: the x86 libraries are linked in.
constexpr Entry kEntries[] = {
#if defined(PHSYNC_X86_KERNELS)
    {&kAvx512Kernel, [](const CpuFeatures& f) { return f.avx512f && f.avx512bw && f.avx512vl; }},
    {&kAvx2Kernel, [](const CpuFeatures& f) { return f.avx2; }},
#endif
    {&kPortableKernel, [](const CpuFeatures&) { return true; }},
};

}  // namespace

std::vector<const KernelTable*> compiled_kernels() {
  std::vector<const KernelTable*> kernels;
  for (const Entry& entry : kEntries) kernels.push_back(entry.table);
  return kernels;
}

bool is_supported(const KernelTable& kernel) {
  for (const Entry& entry : kEntries) {
    if (entry.table == &kernel) return entry.supported(cpu_features());
  }
  return false;
}

const KernelTable* find_kernel(const std::string& name) {
  for (const Entry& entry : kEntries) {
    if (name == entry.table->name) return entry.supported(cpu_features()) ? entry.table : nullptr;
  }
  return nullptr;
}

}  // namespace phsync
