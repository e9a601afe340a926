// The neon kernel's table.
#include "../kernels.h"
#include "vec.h"

#include "../generic/md4.h"
#include "../generic/md5.h"
#include "../generic/pair.h"
#include "../generic/pbkdf2.h"
#include "../generic/sha256.h"

namespace phsync {

const KernelTable kNeonKernel = {
    "neon",
    {Vec::lanes, md4_compress<Vec>},
    {Vec::lanes, md5_compress<Vec>},
    {Vec::lanes, sha256_compress<Vec>},
    {{Pair::lanes, pbkdf2_rounds<Pair>}, {Vec::lanes, pbkdf2_rounds<Vec>}},
};

}  // namespace phsync
