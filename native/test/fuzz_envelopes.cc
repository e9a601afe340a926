// libFuzzer on the opening of ENCRYPTED_PAYLOADs (MS-DRSR 4.1.10.6.13): any session keys, envelopes, RIDs, statuses and
// counts, sealed envelopes and broken ones among them, through any plan of this machine against one item at a time.
#include <fuzzer/FuzzedDataProvider.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#include "../crc32.h"
#include "../orgid_batch.h"
#include "../rid_des.h"
#include "fuzz_plans.h"
#include "fuzz_reference.h"

using namespace phsync;

namespace {

struct Item {
  Bytes envelope;
  uint32_t rid;
  Bytes salt;
  uint8_t status_in;
  uint8_t status;
  Bytes digest;
};

void expect(Item& item, const std::vector<Bytes>& session_keys) {
  item.digest.assign(kDigestSize, 0);
  item.status = item.status_in == kStatusLength ? kStatusLength : item.rid == 0 ? kStatusRid : kStatusChecksum;
  if (item.status != kStatusChecksum) return;
  for (const Bytes& session_key : session_keys) {
    const Bytes plain = rc4(session_key, item.envelope.data(), item.envelope.data() + 16, 20);
    if (load32le(plain.data()) != checksum(plain.data() + 4, 16)) continue;
    uint8_t nt_hash[kNtHashSize];
    RidKeys scratch[kRidLanes];
    const uint32_t rids[] = {item.rid, item.rid};
    const uint8_t* in[] = {plain.data() + 4, plain.data() + 4};
    uint8_t* out[] = {nt_hash, nt_hash};
    rid_des_decrypt_x2(scratch, rids, in, out);
    derive_batch(portable(), nt_hash, item.salt.data(), 1, 1, item.digest.data());
    item.status = kStatusOk;
    return;
  }
}

/// Input that has run out gives zeros, and zeros an item that opens.
Item make_item(FuzzedDataProvider& input, const std::vector<Bytes>& session_keys) {
  Item item;
  const uint8_t kind = input.ConsumeIntegral<uint8_t>();
  item.status_in = kind >= 248 ? static_cast<uint8_t>(kStatusLength) : input.ConsumeIntegral<uint8_t>();
  item.rid = kind % 16 == 15 ? 0 : input.ConsumeIntegral<uint32_t>() + 1;
  item.salt = take(input, kSaltSize);
  item.envelope = take(input, kEnvelopeSize);
  if (kind < 192) {
    // The envelope's end becomes a plain text that carries its checksum.
    const Bytes& key = session_keys[input.ConsumeIntegralInRange<size_t>(0, session_keys.size() - 1)];
    uint8_t* plain = item.envelope.data() + 16;
    const uint32_t sum = checksum(plain + 4, 16);
    for (size_t i = 0; i < 4; i++) plain[i] = static_cast<uint8_t>(sum >> 8 * i);
    const Bytes sealed = rc4(key, item.envelope.data(), plain, 20);
    memcpy(plain, sealed.data(), sealed.size());
    if (kind >= 160) item.envelope[input.ConsumeIntegralInRange<size_t>(0, kEnvelopeSize - 1)] ^= 1 << kind % 8;
  }
  return item;
}

/// Mostly a few; in 10 of 1000 runs round the widest kernel's lanes, in 2 round the slices of 256 items. By the sum of
/// the input, since the fuzzer would soon aim at a byte that leads to more code.
size_t choose_count(FuzzedDataProvider& input, const uint8_t* data, size_t size) {
  const uint32_t draw = checksum(data, size) % 1000;
  if (draw >= 12) return input.ConsumeIntegral<uint8_t>() % 8;
  if (draw >= 2) return input.ConsumeIntegralInRange<size_t>(8, 2 * kMaxLanes + 1);
  return input.ConsumeIntegralInRange<size_t>(250, 600);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  const auto& [name, plan] = plans()[input.ConsumeIntegralInRange<size_t>(0, plans().size() - 1)];
  const size_t count = choose_count(input, data, size);

  std::vector<Bytes> session_keys(input.ConsumeIntegralInRange<size_t>(1, 4));
  for (Bytes& key : session_keys) key = take(input, input.ConsumeIntegralInRange<size_t>(1, kMaxSessionKeySize));
  std::vector<Item> items(count < 8 ? count : 4);
  for (Item& item : items) {
    item = make_item(input, session_keys);
    expect(item, session_keys);
  }

  // To the exact byte, so that one too far is noticed.
  std::vector<Slice> keys;
  for (const Bytes& key : session_keys) keys.push_back({key.data(), key.size()});
  Bytes envelopes(count * kEnvelopeSize), salts(count * kSaltSize), status(count);
  Bytes digests(count * kDigestSize, 0xa5);
  std::vector<uint32_t> rids(count);
  for (size_t i = 0; i < count; i++) {
    const Item& item = items[i % items.size()];
    memcpy(envelopes.data() + i * kEnvelopeSize, item.envelope.data(), kEnvelopeSize);
    memcpy(salts.data() + i * kSaltSize, item.salt.data(), kSaltSize);
    rids[i] = item.rid;
    status[i] = item.status_in;
  }
  open_and_derive_batch(*plan, keys.data(), keys.size(), envelopes.data(), rids.data(), salts.data(), count, 1,
                        digests.data(), status.data());
  for (size_t i = 0; i < count; i++) {
    const Item& item = items[i % items.size()];
    if (status[i] == item.status && memcmp(digests.data() + i * kDigestSize, item.digest.data(), kDigestSize) == 0) {
      continue;
    }
    fprintf(stderr, "%s: item %zu of %zu: status %u, expected %u\n", name.c_str(), i, count, status[i], item.status);
    abort();
  }
  return 0;
}
