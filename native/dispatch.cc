// Kernels and their CPU features; plans from what they cost.
#include "dispatch.h"

#include <string.h>

#include <algorithm>
#include <memory>

#include "cpu_features.h"

namespace phsync {
namespace {

struct Entry {
  const KernelTable* table;
  bool (*supported)(const CpuFeatures&);
};

// PHSYNC_X86_KERNELS and PHSYNC_ARM64_KERNELS come from the build: the libraries of that architecture are linked in.
constexpr Entry kEntries[] = {
#if defined(PHSYNC_X86_KERNELS)
    {&kAvx512Kernel, [](const CpuFeatures& f) { return f.avx512f && f.avx512bw && f.avx512vl; }},
    {&kShaniKernel, [](const CpuFeatures& f) { return f.sha_ni && f.sse41 && f.ssse3; }},
    {&kAvx2Kernel, [](const CpuFeatures& f) { return f.avx2; }},
    {&kSse41Kernel, [](const CpuFeatures& f) { return f.sse41; }},
#endif
#if defined(PHSYNC_ARM64_KERNELS)
    {&kArmSha2Kernel, [](const CpuFeatures& f) { return f.arm_sha2; }},
    {&kNeonKernel, [](const CpuFeatures& f) { return f.neon; }},
#endif
    {&kPortableKernel, [](const CpuFeatures&) { return true; }},
};

template <class K>
void add(std::deque<Width<K>>& widths, const char* isa, const K& kernel) {
  if (kernel.lanes != 0) widths.emplace_back(isa, kernel);
}

/// Of the widths of one ISA, or of all where `isa` is null.
template <class K>
Cover<K> cover(const std::deque<Width<K>>& widths, const char* isa) {
  std::vector<const Width<K>*> chosen;
  for (const Width<K>& width : widths) {
    if (isa == nullptr || strcmp(width.isa, isa) == 0) chosen.push_back(&width);
  }
  return Cover<K>(chosen);
}

Plan plan(const Widths& widths, const char* isa) {
  Plan result;
  result.md4 = cover(widths.md4, isa);
  result.md5 = cover(widths.md5, isa);
  result.sha256 = cover(widths.sha256, isa);
  result.pbkdf2 = cover(widths.pbkdf2, isa);
  return result;
}

template <class K>
void complete(Cover<K>& own, const Cover<K>& other) {
  if (own.empty()) own = other;
}

double cost_per_lane(const Kernel& kernel) {
  const Width<Pbkdf2Kernel>& bulk = kernel.plan.pbkdf2.bulk();
  return bulk.nanoseconds / static_cast<double>(bulk.kernel.lanes);
}

const Machine* find() {
  std::unique_ptr<Machine> found(new Machine());
  for (const Entry& entry : kEntries) {
    const KernelTable& table = *entry.table;
    const bool supported = entry.supported(cpu_features());
    found->kernels.push_back({table.name, supported, {}});
    if (!supported) continue;
    add(found->widths.md4, table.name, table.md4);
    add(found->widths.md5, table.name, table.md5);
    add(found->widths.sha256, table.name, table.sha256);
    for (const Pbkdf2Kernel& kernel : table.pbkdf2) add(found->widths.pbkdf2, table.name, kernel);
  }
  found->measurement_nanoseconds = measure(found->widths);
  found->plan = plan(found->widths, nullptr);
  for (Kernel& kernel : found->kernels) {
    if (!kernel.supported) continue;
    kernel.plan = plan(found->widths, kernel.name);
    complete(kernel.plan.md4, found->plan.md4);
    complete(kernel.plan.md5, found->plan.md5);
    complete(kernel.plan.sha256, found->plan.sha256);
    for (const Width<Pbkdf2Kernel>& width : found->widths.pbkdf2) {
      if (strcmp(width.isa, kernel.name) != 0) continue;
      found->single_widths.push_back({std::string(width.isa) + ":" + std::to_string(width.kernel.lanes), kernel.plan});
      found->single_widths.back().plan.pbkdf2 = Cover<Pbkdf2Kernel>({&width});
    }
  }
  std::stable_sort(found->kernels.begin(), found->kernels.end(), [](const Kernel& a, const Kernel& b) {
    if (!a.supported || !b.supported) return a.supported && !b.supported;
    return cost_per_lane(a) < cost_per_lane(b);
  });
  return found.release();
}

}  // namespace

const Machine& machine() {
  // Never deleted: workers may still hash while the process destroys its static objects. Threads that come first at the
  // same time wait for one of them.
  static const Machine* const found = find();
  return *found;
}

}  // namespace phsync
