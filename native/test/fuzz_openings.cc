// libFuzzer on the opening of ENCRYPTED_PAYLOADs of any length (MS-DRSR 4.1.10.6.13), with and without a RID layer: any
// session keys, sizes and counts, sealed envelopes and broken ones among them, through any plan of this machine against
// one item at a time.
#include <fuzzer/FuzzedDataProvider.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#include "../crc32.h"
#include "../envelopes.h"
#include "../rid_des.h"
#include "fuzz_plans.h"
#include "fuzz_reference.h"

using namespace phsync;

namespace {

struct Item {
  Bytes envelope;
  uint32_t rid;
  uint8_t status;
  /// What comes out.
  Bytes data;
};

void remove_rid_layer(Item& item) {
  for (size_t at = 0; at < item.data.size(); at += kRidBlockSize) {
    RidKeys scratch[kRidLanes];
    const uint32_t rids[] = {item.rid, item.rid};
    uint8_t* blocks[] = {item.data.data() + at, item.data.data() + at};
    rid_des_decrypt_x2(scratch, rids, blocks, blocks);
  }
}

void expect(Item& item, const std::vector<Bytes>& session_keys, bool rid_layer) {
  const size_t size = item.envelope.size();
  item.status = kStatusLength;
  if (size < 20) return;
  item.data.assign(size - 20, 0);
  if (rid_layer && (size == 20 || (size - 20) % 16 != 0)) return;
  item.status = kStatusRid;
  if (rid_layer && item.rid == 0) return;
  item.status = kStatusChecksum;
  for (const Bytes& session_key : session_keys) {
    const Bytes plain = rc4(session_key, item.envelope.data(), item.envelope.data() + 16, size - 16);
    if (load32le(plain.data()) != checksum(plain.data() + 4, size - 20)) continue;
    item.data.assign(plain.begin() + 4, plain.end());
    if (rid_layer) remove_rid_layer(item);
    item.status = kStatusOk;
    return;
  }
}

Item make_item(FuzzedDataProvider& input, const std::vector<Bytes>& session_keys) {
  Item item;
  const uint8_t kind = input.ConsumeIntegral<uint8_t>();
  item.rid = kind % 16 == 15 ? 0 : input.ConsumeIntegral<uint32_t>() + 1;
  const size_t size = kind % 4 == 0   ? 20 + 16 * input.ConsumeIntegralInRange<size_t>(0, 5)
                      : kind % 4 == 3 ? input.ConsumeIntegralInRange<size_t>(0, 700)
                                      : input.ConsumeIntegralInRange<size_t>(0, 60);
  item.envelope = take(input, size);
  if (kind < 192 && size >= 20) {
    // The envelope's end becomes a plain text that carries its checksum.
    const Bytes& key = session_keys[input.ConsumeIntegralInRange<size_t>(0, session_keys.size() - 1)];
    uint8_t* plain = item.envelope.data() + 16;
    const uint32_t sum = checksum(plain + 4, size - 20);
    for (size_t i = 0; i < 4; i++) plain[i] = static_cast<uint8_t>(sum >> 8 * i);
    const Bytes sealed = rc4(key, item.envelope.data(), plain, size - 16);
    memcpy(plain, sealed.data(), sealed.size());
    if (kind >= 160) item.envelope[input.ConsumeIntegralInRange<size_t>(0, size - 1)] ^= 1 << kind % 8;
  }
  return item;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  const auto& [name, plan] = plans()[input.ConsumeIntegralInRange<size_t>(0, plans().size() - 1)];
  const bool rid_layer = input.ConsumeBool();
  // Mostly a few; now and then past a slice of 256. By the sum of the input, since the fuzzer would soon aim at a byte
  // that leads to more code.
  const bool many = checksum(data, size) % 1000 < 2;
  const size_t count = many ? input.ConsumeIntegralInRange<size_t>(250, 300) : input.ConsumeIntegral<uint8_t>() % 9;

  std::vector<Bytes> session_keys(input.ConsumeIntegralInRange<size_t>(1, 4));
  for (Bytes& key : session_keys) key = take(input, input.ConsumeIntegralInRange<size_t>(1, kMaxSessionKeySize));
  std::vector<Item> made(count < 9 ? count : 5);
  for (Item& item : made) {
    item = make_item(input, session_keys);
    expect(item, session_keys, rid_layer);
  }

  // Each in memory of its own to the exact byte, so that one too far is noticed.
  std::vector<Slice> keys;
  for (const Bytes& key : session_keys) keys.push_back({key.data(), key.size()});
  std::vector<Item> items(count);
  std::vector<Bytes> results(count);
  std::vector<OpenItem> jobs(count);
  std::vector<uint32_t> rids(count);
  Bytes status(count, 0xa5);
  for (size_t i = 0; i < count; i++) {
    items[i] = made[i % made.size()];
    results[i].assign(items[i].data.size(), 0xa5);
    jobs[i] = {{items[i].envelope.data(), items[i].envelope.size()}, results[i].data()};
    rids[i] = items[i].rid;
  }
  open_batch(*plan, keys.data(), keys.size(), jobs.data(), rid_layer ? rids.data() : nullptr, count, status.data());
  for (size_t i = 0; i < count; i++) {
    if (status[i] == items[i].status && results[i] == items[i].data) continue;
    fprintf(stderr, "%s: item %zu of %zu: status %u, expected %u\n", name.c_str(), i, count, status[i], items[i].status);
    abort();
  }
  return 0;
}
