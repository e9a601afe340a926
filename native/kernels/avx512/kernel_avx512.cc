// The avx512 kernel's table.
#include "../kernels.h"
#include "vec.h"

#include "../generic/md4.h"
#include "../generic/md5.h"
#include "../generic/pair.h"
#include "../generic/pbkdf2.h"
#include "../generic/sha256.h"

namespace phsync {

// Cycles a compression and lane on Zen 5: 39 with one vector, 26.3 with a Pair (27.0 unrolled); its 1,575 vector
// operations need 24.6 of the four ports. A scalar lane beside one vector is nearly free (37.6), beside a Pair it is not:
// 63, because the code of both no longer fits the micro-op cache.
const KernelTable kAvx512Kernel = {
    "avx512",
    {Vec::lanes, md4_compress<Vec>},
    {Vec::lanes, md5_compress<Vec>},
    {Vec::lanes, sha256_compress<Vec>},
    {{Pair::lanes, pbkdf2_rounds<Pair, 2>}, {Vec::lanes, pbkdf2_rounds<Vec>}},
};

}  // namespace phsync
