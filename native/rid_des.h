// The RID layer over an NT hash: two blocks of DES-ECB under keys made from the RID (MS-SAMR 2.2.11.1).
#ifndef PHSYNC_RID_DES_H_
#define PHSYNC_RID_DES_H_

#include <stddef.h>
#include <stdint.h>

namespace phsync {

constexpr size_t kRidLanes = 2;
/// 16 for each of the two keys of a RID.
constexpr size_t kRoundKeys = 32;

/// The round keys of both DES keys of one RID: the bits of S1, S3, S5, S7 in the upper word, those of S2, S4, S6, S8 in
/// the lower. Secret only as far as the RID is; the caller wipes them all the same.
struct RidKeys {
  uint64_t of[kRoundKeys];
};

/// Decrypts kRidLanes times 16 bytes, of which the first 8 are under Key1 of the lane's RID, the last 8 under Key2. No
/// RID is 0. All is read before anything is written: `out` may be `in`, and lanes may be the same. `scratch` is
/// kRidLanes long.
void rid_des_decrypt_x2(RidKeys* scratch, const uint32_t* rids, const uint8_t* const* in, uint8_t* const* out);

}  // namespace phsync

#endif
