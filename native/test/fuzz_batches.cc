// libFuzzer on the general batches: MD4, MD5, SHA-256, HMAC-SHA256, PBKDF2 and OrgId digests of any lengths, offsets
// and counts, through any plan of this machine against the portable one with one item at a time.
#include <fuzzer/FuzzedDataProvider.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#include "../hash_batch.h"
#include "../orgid_batch.h"
#include "fuzz_plans.h"

using namespace phsync;

namespace {

using Bytes = std::vector<uint8_t>;

enum Operation { kMd4, kMd5, kSha256, kHmac, kPbkdf2, kOrgId, kOperations };

struct Parameters {
  Operation operation;
  uint32_t iterations;
  size_t size;
};

size_t result_size(const Parameters& p) {
  switch (p.operation) {
    case kMd4:
    case kMd5:
      return 16;
    case kPbkdf2:
      return p.size;
    default:
      return kDigestSize;
  }
}

/// One call for all items: `first` are messages, keys, passwords or NT hashes, `second` suffixes, messages or salts.
void run(const Plan& plan, const Parameters& p, const Slice* first, const Slice* second, size_t count,
         uint8_t* out) {
  switch (p.operation) {
    case kHmac:
      hmac_sha256_batch(plan, first, second, count, out);
      return;
    case kPbkdf2:
      pbkdf2_many(plan, first, second, count, p.iterations, p.size, out);
      return;
    case kOrgId: {
      Bytes nt_hashes(count * kNtHashSize), salts(count * kSaltSize);
      for (size_t i = 0; i < count; i++) {
        if (first[i].size != 0) memcpy(nt_hashes.data() + i * kNtHashSize, first[i].data, first[i].size % 17);
        if (second[i].size != 0) memcpy(salts.data() + i * kSaltSize, second[i].data, second[i].size % 11);
      }
      derive_batch(plan, nt_hashes.data(), salts.data(), count, p.iterations, out);
      return;
    }
    default: {
      std::vector<HashJob> jobs;
      for (size_t i = 0; i < count; i++) {
        jobs.push_back({first[i].data, first[i].size, second[i].data, second[i].size % (kMaxSuffix + 1),
                        out + i * result_size(p), nullptr});
      }
      const auto batch = p.operation == kMd4 ? md4_batch : p.operation == kMd5 ? md5_batch : sha256_batch;
      batch(plan, jobs.data(), count);
    }
  }
}

/// Ranges of `bytes`, which may overlap and be empty.
std::vector<Slice> ranges(FuzzedDataProvider& input, const Bytes& bytes, size_t count) {
  std::vector<Slice> result;
  for (size_t i = 0; i < count; i++) {
    const size_t at = input.ConsumeIntegralInRange<size_t>(0, bytes.size());
    result.push_back({bytes.data() + at, input.ConsumeIntegralInRange<size_t>(0, bytes.size() - at)});
  }
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  const auto& [name, plan] = plans()[input.ConsumeIntegralInRange<size_t>(0, plans().size() - 1)];
  Parameters p;
  p.operation = static_cast<Operation>(input.ConsumeIntegralInRange<int>(0, kOperations - 1));
  p.iterations = input.ConsumeIntegralInRange<uint32_t>(1, 3);
  p.size = input.ConsumeIntegralInRange<size_t>(1, 100);
  // Mostly a few: each is also computed by itself.
  const uint8_t size_class = input.ConsumeIntegral<uint8_t>();
  const size_t count =
      size_class < 250 ? size_class % 8 : input.ConsumeIntegralInRange<size_t>(0, 2 * kMaxLanes + 1);
  // To the exact byte, so that one too far is noticed.
  std::vector<Bytes> memories;
  for (int i = 0; i < 2; i++) {
    const size_t length = input.ConsumeIntegralInRange<size_t>(0, 300);
    memories.push_back(input.ConsumeBytes<uint8_t>(length));
    memories.back().resize(length);
  }
  const std::vector<Slice> first = ranges(input, memories[0], count);
  const std::vector<Slice> second = ranges(input, memories[1], count);
  Bytes results(count * result_size(p), 0xa5);
  run(*plan, p, first.data(), second.data(), count, results.data());
  for (size_t i = 0; i < count; i++) {
    Bytes wanted(result_size(p));
    run(portable(), p, &first[i], &second[i], 1, wanted.data());
    if (memcmp(results.data() + i * wanted.size(), wanted.data(), wanted.size()) == 0) continue;
    fprintf(stderr, "%s: operation %d, item %zu of %zu differs\n", name.c_str(), p.operation, i, count);
    abort();
  }
  return 0;
}
