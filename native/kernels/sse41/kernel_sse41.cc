// The sse41 kernel's table.
#include "../kernels.h"
#include "vec.h"

#include "../generic/md4.h"
#include "../generic/md5.h"
#include "../generic/pbkdf2.h"
#include "../generic/pbkdf2_streams.h"
#include "../generic/sha256.h"

namespace phsync {

// Cycles a compression and lane on Zen 5: 280 with one stream in registers, 238 with 2 streams, 232 with 3 (240 with the
// rotations one by one). Its vector operations need 208 of the four ports. Less rolled, 3 streams take 260 to 350, because
// the code no longer fits the micro-op cache.
const KernelTable kSse41Kernel = {
    "sse41",
    {Vec::lanes, md4_compress<Vec>},
    {Vec::lanes, md5_compress<Vec>},
    {Vec::lanes, sha256_compress<Vec>},
    {{3 * Vec::lanes, pbkdf2_rounds_streams<Vec, 3, 1, 3>},
     {2 * Vec::lanes, pbkdf2_rounds_streams<Vec, 2, 2, 3>},
     {Vec::lanes, pbkdf2_rounds<Vec, 3>}},
};

}  // namespace phsync
