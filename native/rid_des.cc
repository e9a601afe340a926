// DES (FIPS 46-3) with S-boxes and P in one table, two RIDs of two blocks each side by side: one block's rounds are a
// chain of loads, four take little longer.
//
// Bit 1 of the standard is the most significant bit here. Both halves are kept rotated right by one: then the six bits
// that E gives to S1, S3, S5, S7 are the upper six of the half's four bytes, and those of S2, S4, S6, S8 the same after
// a rotation by four more.
#include "rid_des.h"

#include <stddef.h>

namespace phsync {
namespace {

constexpr uint8_t kSBoxes[8][64] = {
    {14, 4, 13, 1, 2, 15, 11, 8, 3, 10, 6, 12, 5, 9, 0, 7, 0, 15, 7, 4, 14, 2, 13, 1, 10, 6, 12, 11, 9, 5, 3, 8,
     4, 1, 14, 8, 13, 6, 2, 11, 15, 12, 9, 7, 3, 10, 5, 0, 15, 12, 8, 2, 4, 9, 1, 7, 5, 11, 3, 14, 10, 0, 6, 13},
    {15, 1, 8, 14, 6, 11, 3, 4, 9, 7, 2, 13, 12, 0, 5, 10, 3, 13, 4, 7, 15, 2, 8, 14, 12, 0, 1, 10, 6, 9, 11, 5,
     0, 14, 7, 11, 10, 4, 13, 1, 5, 8, 12, 6, 9, 3, 2, 15, 13, 8, 10, 1, 3, 15, 4, 2, 11, 6, 7, 12, 0, 5, 14, 9},
    {10, 0, 9, 14, 6, 3, 15, 5, 1, 13, 12, 7, 11, 4, 2, 8, 13, 7, 0, 9, 3, 4, 6, 10, 2, 8, 5, 14, 12, 11, 15, 1,
     13, 6, 4, 9, 8, 15, 3, 0, 11, 1, 2, 12, 5, 10, 14, 7, 1, 10, 13, 0, 6, 9, 8, 7, 4, 15, 14, 3, 11, 5, 2, 12},
    {7, 13, 14, 3, 0, 6, 9, 10, 1, 2, 8, 5, 11, 12, 4, 15, 13, 8, 11, 5, 6, 15, 0, 3, 4, 7, 2, 12, 1, 10, 14, 9,
     10, 6, 9, 0, 12, 11, 7, 13, 15, 1, 3, 14, 5, 2, 8, 4, 3, 15, 0, 6, 10, 1, 13, 8, 9, 4, 5, 11, 12, 7, 2, 14},
    {2, 12, 4, 1, 7, 10, 11, 6, 8, 5, 3, 15, 13, 0, 14, 9, 14, 11, 2, 12, 4, 7, 13, 1, 5, 0, 15, 10, 3, 9, 8, 6,
     4, 2, 1, 11, 10, 13, 7, 8, 15, 9, 12, 5, 6, 3, 0, 14, 11, 8, 12, 7, 1, 14, 2, 13, 6, 15, 0, 9, 10, 4, 5, 3},
    {12, 1, 10, 15, 9, 2, 6, 8, 0, 13, 3, 4, 14, 7, 5, 11, 10, 15, 4, 2, 7, 12, 9, 5, 6, 1, 13, 14, 0, 11, 3, 8,
     9, 14, 15, 5, 2, 8, 12, 3, 7, 0, 4, 10, 1, 13, 11, 6, 4, 3, 2, 12, 9, 5, 15, 10, 11, 14, 1, 7, 6, 0, 8, 13},
    {4, 11, 2, 14, 15, 0, 8, 13, 3, 12, 9, 7, 5, 10, 6, 1, 13, 0, 11, 7, 4, 9, 1, 10, 14, 3, 5, 12, 2, 15, 8, 6,
     1, 4, 11, 13, 12, 3, 7, 14, 10, 15, 6, 8, 0, 5, 9, 2, 6, 11, 13, 8, 1, 4, 10, 7, 9, 5, 0, 15, 14, 2, 3, 12},
    {13, 2, 8, 4, 6, 15, 11, 1, 10, 9, 3, 14, 5, 0, 12, 7, 1, 15, 13, 8, 10, 3, 7, 4, 12, 5, 6, 11, 0, 14, 9, 2,
     7, 11, 4, 1, 9, 12, 14, 2, 0, 6, 10, 13, 15, 3, 5, 8, 2, 1, 14, 7, 4, 10, 8, 13, 15, 12, 9, 0, 3, 5, 6, 11},
};
constexpr uint8_t kP[32] = {16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10,
                            2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25};
constexpr uint8_t kPc1[56] = {57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43,
                              35, 27, 19, 11, 3, 60, 52, 44, 36, 63, 55, 47, 39, 31, 23, 15, 7, 62, 54,
                              46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4};
constexpr uint8_t kPc2[48] = {14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4,
                              26, 8, 16, 7, 27, 20, 13, 2, 41, 52, 31, 37, 47, 55, 30, 40,
                              51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32};
constexpr uint8_t kKeyShifts[16] = {1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1};

constexpr uint32_t rotl32(uint32_t x, int n) { return x << n | x >> (32 - n); }
constexpr uint32_t rotr32(uint32_t x, int n) { return x >> n | x << (32 - n); }

struct Tables {
  /// P after S-box k for its six input bits, rotated right by one.
  uint32_t sp[8][64];
  /// Every bit of a round key is a bit of the RID: the part of all round keys that each value of each nibble of the RID
  /// gives, the lowest nibble first.
  RidKeys keys[8][16];
};

constexpr Tables make_tables() {
  Tables t = {};
  for (int box = 0; box < 8; box++) {
    for (int in = 0; in < 64; in++) {
      const int row = (in >> 4 & 2) | (in & 1);
      const int column = in >> 1 & 15;
      const uint32_t nibble = static_cast<uint32_t>(kSBoxes[box][row * 16 + column]) << (28 - 4 * box);
      uint32_t permuted = 0;
      for (int i = 0; i < 32; i++) permuted |= (nibble >> (32 - kP[i]) & 1) << (31 - i);
      t.sp[box][in] = rotr32(permuted, 1);
    }
  }
  int shift = 0;
  for (int round = 0; round < 16; round++) {
    shift += kKeyShifts[round];
    for (int i = 0; i < 48; i++) {
      // Back through PC-2, the rotations of C and D, and PC-1.
      const int half = (kPc2[i] - 1) / 28 * 28;
      const int n = kPc1[half + (kPc2[i] - 1 - half + shift) % 28];
      // Bit n of the 8-byte key with its parity bits is bit n - 1 - (n - 1) / 8 of the 7 bytes, from 0.
      const int source = n - 1 - (n - 1) / 8;
      const int box = i / 6;
      const uint64_t bit = uint64_t{1} << (26 - 8 * (box / 2) + (5 - i % 6) + (box % 2 == 0 ? 32 : 0));
      for (int which = 0; which < 2; which++) {
        // Key1 = I0 I1 I2 I3 I0 I1 I2, Key2 = I3 I0 I1 I2 I3 I0 I1, of the RID's bytes, least significant first.
        const int rid_bit = (source / 8 + 3 * which) % 4 * 8 + 7 - source % 8;
        for (int value = 0; value < 16; value++) {
          if ((value >> rid_bit % 4 & 1) != 0) t.keys[rid_bit / 4][value].of[which * 16 + round] |= bit;
        }
      }
    }
  }
  return t;
}

constexpr Tables kTables = make_tables();

void set_round_keys(RidKeys& keys, uint32_t rid) {
  keys = kTables.keys[0][rid & 15];
  const RidKeys(*row)[16] = kTables.keys + 1;
  // Its time tells the size of the RID, which is no secret.
  for (rid >>= 4; rid != 0; rid >>= 4, row++) {
    for (size_t i = 0; i < kRoundKeys; i++) keys.of[i] |= (*row)[rid & 15].of[i];
  }
}

uint32_t load32be(const uint8_t* p) {
  return static_cast<uint32_t>(p[0]) << 24 | static_cast<uint32_t>(p[1]) << 16 | static_cast<uint32_t>(p[2]) << 8 |
         static_cast<uint32_t>(p[3]);
}

void store32be(uint8_t* p, uint32_t x) {
  p[0] = static_cast<uint8_t>(x >> 24);
  p[1] = static_cast<uint8_t>(x >> 16);
  p[2] = static_cast<uint8_t>(x >> 8);
  p[3] = static_cast<uint8_t>(x);
}

/// Swaps the bits of a at `mask << n` with those of b at `mask`.
void swap_bits(uint32_t& a, uint32_t& b, int n, uint32_t mask) {
  const uint32_t t = (a >> n ^ b) & mask;
  b ^= t;
  a ^= t << n;
}

uint32_t feistel(uint32_t half, uint64_t key) {
  const uint32_t u = half ^ static_cast<uint32_t>(key >> 32);
  const uint32_t v = rotl32(half, 4) ^ static_cast<uint32_t>(key);
  return kTables.sp[0][u >> 26] ^ kTables.sp[2][u >> 18 & 63] ^ kTables.sp[4][u >> 10 & 63] ^
         kTables.sp[6][u >> 2 & 63] ^ kTables.sp[1][v >> 26] ^ kTables.sp[3][v >> 18 & 63] ^
         kTables.sp[5][v >> 10 & 63] ^ kTables.sp[7][v >> 2 & 63];
}

}  // namespace

void rid_des_decrypt_x2(RidKeys* scratch, const uint32_t* rids, const uint8_t* const* in, uint8_t* const* out) {
  constexpr size_t kBlocks = 2 * kRidLanes;
  uint32_t left[kBlocks], right[kBlocks];
  for (size_t lane = 0; lane < kRidLanes; lane++) set_round_keys(scratch[lane], rids[lane]);
  for (size_t block = 0; block < kBlocks; block++) {
    uint32_t l = load32be(in[block / 2] + 8 * (block % 2));
    uint32_t r = load32be(in[block / 2] + 8 * (block % 2) + 4);
    swap_bits(l, r, 4, 0x0f0f0f0f);
    swap_bits(l, r, 16, 0x0000ffff);
    swap_bits(r, l, 2, 0x33333333);
    swap_bits(r, l, 8, 0x00ff00ff);
    swap_bits(l, r, 1, 0x55555555);
    left[block] = rotr32(l, 1);
    right[block] = rotr32(r, 1);
  }
  for (size_t round = 16; round-- > 0;) {
    for (size_t block = 0; block < kBlocks; block++) {
      const uint64_t key = scratch[block / 2].of[block % 2 * 16 + round];
      const uint32_t next = left[block] ^ feistel(right[block], key);
      left[block] = right[block];
      right[block] = next;
    }
  }
  for (size_t block = 0; block < kBlocks; block++) {
    uint32_t l = rotl32(right[block], 1);
    uint32_t r = rotl32(left[block], 1);
    swap_bits(l, r, 1, 0x55555555);
    swap_bits(r, l, 8, 0x00ff00ff);
    swap_bits(r, l, 2, 0x33333333);
    swap_bits(l, r, 16, 0x0000ffff);
    swap_bits(l, r, 4, 0x0f0f0f0f);
    store32be(out[block / 2] + 8 * (block % 2), l);
    store32be(out[block / 2] + 8 * (block % 2) + 4, r);
  }
}

}  // namespace phsync
