// Stands before the compiler's header of this name where the shani kernel is built on the model of its instructions.
#ifndef PHSYNC_TEST_MODEL_SHA_NI_IMMINTRIN_H_
#define PHSYNC_TEST_MODEL_SHA_NI_IMMINTRIN_H_

#include_next <immintrin.h>

#include "../sha_ni.h"

#define _mm_sha256rnds2_epu32 phsync::model_sha256rnds2
#define _mm_sha256msg1_epu32 phsync::model_sha256msg1
#define _mm_sha256msg2_epu32 phsync::model_sha256msg2

#endif
