// The sse41 kernel's table.
#include "../kernels.h"
#include "vec.h"

#include "../generic/md4.h"
#include "../generic/md5.h"
#include "../generic/pbkdf2.h"
#include "../generic/pbkdf2_streams.h"
#include "../generic/sha256.h"

namespace phsync {

// Cycles a compression and lane on Zen 5: 274 with one stream in registers, 244 with 2 streams, 242 with 4. Less rolled,
// 4 streams take 280 to 300, because the code no longer fits the micro-op cache.
const KernelTable kSse41Kernel = {
    "sse41",
    {Vec::lanes, md4_compress<Vec>},
    {Vec::lanes, md5_compress<Vec>},
    {Vec::lanes, sha256_compress<Vec>},
    {{4 * Vec::lanes, pbkdf2_rounds_streams<Vec, 4, 2, 3>},
     {2 * Vec::lanes, pbkdf2_rounds_streams<Vec, 2, 2, 3>},
     {Vec::lanes, pbkdf2_rounds<Vec, 3>}},
};

}  // namespace phsync
