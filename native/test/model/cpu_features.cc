// A CPU that has what there are models of, whatever the machine's own has: SHA-NI and AVX-512.
#include "../../cpu_features.h"

namespace phsync {

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = [] {
    CpuFeatures f;
    f.ssse3 = f.sse41 = f.sha_ni = true;
    f.avx512f = f.avx512bw = f.avx512vl = true;
    return f;
  }();
  return features;
}

}  // namespace phsync
