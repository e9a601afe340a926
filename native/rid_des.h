// The RID layer over an NT hash: two blocks of DES-ECB under keys made from the RID (MS-SAMR 2.2.11.1).
#ifndef PHSYNC_RID_DES_H_
#define PHSYNC_RID_DES_H_

#include <stdint.h>

namespace phsync {

/// The round keys of both DES keys of one RID. Secret only as far as the RID is; the caller wipes it all the same.
struct RidKeys {
  uint32_t even[2][16];
  uint32_t odd[2][16];
};

/// Decrypts the 16 bytes at `in`, the first 8 under Key1, the last 8 under Key2. `rid` is not 0.
void rid_des_decrypt(RidKeys& scratch, uint32_t rid, const uint8_t* in, uint8_t* out);

}  // namespace phsync

#endif
