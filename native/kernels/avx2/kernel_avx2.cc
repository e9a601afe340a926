// The avx2 kernel's table.
#include "../kernels.h"
#include "vec.h"

#include "../generic/md4.h"
#include "../generic/md5.h"
#include "../generic/pbkdf2.h"
#include "../generic/pbkdf2_streams.h"
#include "../generic/sha256.h"

namespace phsync {

// Cycles a compression and lane on Zen 5: 134 with one stream in registers (142 unrolled), 115 with 2 streams, 109 with 3
// (112 with 4; 116 where a turn has four rounds). Its 3,235 vector operations need 101 of the four ports.
const KernelTable kAvx2Kernel = {
    "avx2",
    {Vec::lanes, md4_compress<Vec>},
    {Vec::lanes, md5_compress<Vec>},
    {Vec::lanes, sha256_compress<Vec>},
    {{3 * Vec::lanes, pbkdf2_rounds_streams<Vec, 3, 1, 2>},
     {2 * Vec::lanes, pbkdf2_rounds_streams<Vec, 2, 2, 3>},
     {Vec::lanes, pbkdf2_rounds<Vec, 3>}},
};

}  // namespace phsync
