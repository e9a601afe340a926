// The neon kernel's table.
//
// PBKDF2 with one vector: 2,568 instructions a compression, of which 1,186 are shifts, for which Cortex-A72 and Neoverse
// N1 have one port. By llvm-mca 19 it takes 1,345 and 1,273 cycles, so two vectors side by side could win little, and
// their 48 values do not fit the 32 registers: 1,339 and 1,362 cycles a vector. Not measured on hardware.
#include "../kernels.h"
#include "vec.h"

#include "../generic/md4.h"
#include "../generic/md5.h"
#include "../generic/pbkdf2.h"
#include "../generic/sha256.h"

namespace phsync {

const KernelTable kNeonKernel = {
    "neon",
    {Vec::lanes, md4_compress<Vec>},
    {Vec::lanes, md5_compress<Vec>},
    {Vec::lanes, sha256_compress<Vec>},
    {{Vec::lanes, pbkdf2_rounds<Vec>}},
};

}  // namespace phsync
