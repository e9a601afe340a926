// The best-first list of kernels.
#include "dispatch.h"

#include "cpu_features.h"

namespace phsync {
namespace {

struct Entry {
  const KernelTable* table;
  bool (*supported)(const CpuFeatures&);
};

// Best first, by measurement of PBKDF2 (of the ARM kernels by their instructions a compression: 4 lanes of neon take 15
// times as many as one stream of armsha2). PHSYNC_X86_KERNELS and PHSYNC_ARM64_KERNELS come from the build: the
// libraries of that architecture are linked in.
constexpr Entry kEntries[] = {
#if defined(PHSYNC_X86_KERNELS)
    {&kAvx512Kernel, [](const CpuFeatures& f) { return f.avx512f && f.avx512bw && f.avx512vl; }},
    {&kShaniKernel, [](const CpuFeatures& f) { return f.sha_ni && f.sse41 && f.ssse3; }},
    {&kAvx2Kernel, [](const CpuFeatures& f) { return f.avx2; }},
#endif
#if defined(PHSYNC_ARM64_KERNELS)
    {&kArmSha2Kernel, [](const CpuFeatures& f) { return f.arm_sha2; }},
    {&kNeonKernel, [](const CpuFeatures& f) { return f.neon; }},
#endif
    {&kPortableKernel, [](const CpuFeatures&) { return true; }},
};

void complete(BlockKernel& own, const BlockKernel& other) {
  if (own.compress == nullptr) own = other;
}

std::vector<Kernel> list() {
  std::vector<Kernel> result;
  for (const Entry& entry : kEntries) result.push_back({entry.supported(cpu_features()), *entry.table});
  for (size_t i = 0; i < result.size(); i++) {
    for (size_t next = i + 1; next < result.size(); next++) {
      if (!result[next].supported) continue;
      complete(result[i].table.md4, result[next].table.md4);
      complete(result[i].table.md5, result[next].table.md5);
      complete(result[i].table.sha256, result[next].table.sha256);
    }
  }
  return result;
}

}  // namespace

const std::vector<Kernel>& kernels() {
  static const std::vector<Kernel> result = list();
  return result;
}

}  // namespace phsync
