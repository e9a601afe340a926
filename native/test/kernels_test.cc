// Kernel tests without Node: published vectors and parity with the portable kernel, for sanitizers and cross builds.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <string>
#include <vector>

#include "../crc32.h"
#include "../dispatch.h"
#include "../hash_batch.h"
#include "../orgid_batch.h"
#include "../rc4.h"
#include "../rid_des.h"

using namespace phsync;

namespace {

int failures = 0;

void check(bool ok, const std::string& what) {
  if (ok) return;
  failures++;
  fprintf(stderr, "FAIL %s\n", what.c_str());
}

std::vector<uint8_t> unhex(const char* text) {
  std::vector<uint8_t> bytes;
  for (; text[0] != 0; text += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoi(std::string(text, 2), nullptr, 16)));
  }
  return bytes;
}

/// Exact-size heap copies, so that a sanitizer sees one byte too far.
std::vector<uint8_t> painted(size_t size, size_t from) {
  std::vector<uint8_t> bytes(size);
  for (size_t i = 0; i < size; i++) bytes[i] = static_cast<uint8_t>((i + from) * 7 % 251);
  bytes.shrink_to_fit();
  return bytes;
}

using Batch = void (*)(const Plan&, const HashJob*, size_t);

std::vector<uint8_t> hash_all(const Kernel& kernel, Batch batch, size_t digest_size,
                              const std::vector<std::vector<uint8_t>>& messages) {
  std::vector<uint8_t> digests(messages.size() * digest_size);
  std::vector<HashJob> jobs;
  for (size_t i = 0; i < messages.size(); i++) {
    jobs.push_back({messages[i].data(), messages[i].size(), nullptr, 0, digests.data() + i * digest_size, nullptr});
  }
  batch(kernel.plan, jobs.data(), jobs.size());
  return digests;
}

void published(const Kernel& kernel) {
  const std::string name = kernel.name;
  const std::vector<std::vector<uint8_t>> abc = {{'a', 'b', 'c'}};
  check(hash_all(kernel, md4_batch, 16, abc) == unhex("a448017aaf21d8525fc10ae87aa6729d"), name + " RFC 1320 abc");
  check(hash_all(kernel, md5_batch, 16, abc) == unhex("900150983cd24fb0d6963f7d28e17f72"), name + " RFC 1321 abc");
  check(hash_all(kernel, sha256_batch, 32, abc) ==
            unhex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        name + " FIPS 180 abc");
  const std::vector<uint8_t> password = {'P', 'a', 's', 's', 'w', 'o', 'r', 'd'};
  const std::vector<uint8_t> salt = {'N', 'a', 'C', 'l'};
  const Slice passwords = {password.data(), password.size()};
  const Slice salts = {salt.data(), salt.size()};
  std::vector<uint8_t> key(64);
  pbkdf2_many(kernel.plan, &passwords, &salts, 1, 80000, key.size(), key.data());
  check(key == unhex("4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
                     "a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d"),
        name + " RFC 7914 80000");
  // DSInternals: Pa$$w0rd, and the envelope of the same hash under RID 500.
  const std::vector<uint8_t> nt_hash = unhex("92937945b518814341de3f726500d4ff");
  const std::vector<uint8_t> orgid_salt = unhex("181a3024085fcee2f70e");
  const std::vector<uint8_t> orgid = unhex("b39525c3bc72a1136fcf7c8a338e0c14313d0450d1a4c98ef0a6ddada3bc5b0a");
  std::vector<uint8_t> digest(32);
  derive_batch(kernel.plan, nt_hash.data(), orgid_salt.data(), 1, 1000, digest.data());
  check(digest == orgid, name + " OrgId hash");
  const std::vector<uint8_t> envelope =
      unhex("e650e0179becf540e1e6dbe37deb38b379618228d74d9ff7e08a588c2a6fbd511ad78f61");
  const std::vector<uint8_t> session_key = unhex("b0133bfc9ce59c805dd15d5872e247c5");
  const Slice session_keys = {session_key.data(), session_key.size()};
  const uint32_t rid = 500;
  uint8_t status = kStatusChecksum;
  digest.assign(32, 0);
  open_and_derive_batch(kernel.plan, &session_keys, 1, envelope.data(), &rid, orgid_salt.data(), 1, 1000, digest.data(),
                        &status);
  check(status == kStatusOk && digest == orgid, name + " ENCRYPTED_PAYLOAD");
}

/// Every job count past twice the lanes, with lengths round the block edges, against the portable kernel.
void parity(const Kernel& kernel, const Kernel& portable) {
  for (size_t count = 1; count <= 2 * kMaxLanes + 1; count++) {
    std::vector<std::vector<uint8_t>> messages;
    for (size_t i = 0; i < count; i++) messages.push_back(painted((i * 37 + count) % 200, i));
    const std::string name = std::string(kernel.name) + " " + std::to_string(count) + " jobs ";
    check(hash_all(kernel, md4_batch, 16, messages) == hash_all(portable, md4_batch, 16, messages), name + "MD4");
    check(hash_all(kernel, md5_batch, 16, messages) == hash_all(portable, md5_batch, 16, messages), name + "MD5");
    check(hash_all(kernel, sha256_batch, 32, messages) == hash_all(portable, sha256_batch, 32, messages),
          name + "SHA-256");
    const std::vector<uint8_t> nt_hashes = painted(16 * count, count);
    const std::vector<uint8_t> salts = painted(10 * count, 3);
    std::vector<uint8_t> digests(32 * count), wanted(32 * count);
    derive_batch(kernel.plan, nt_hashes.data(), salts.data(), count, 3, digests.data());
    derive_batch(portable.plan, nt_hashes.data(), salts.data(), count, 3, wanted.data());
    check(digests == wanted, name + "OrgId");
  }
}

void layers() {
  const uint8_t digits[] = {'1', '2', '3', '4', '5', '6', '7', '8', '9'};
  check(crc32(digits, sizeof digits) == 0xcbf43926, "CRC-32 check value");
  // RFC 6229, 128-bit key 0x0102…10: the first 16 bytes of keystream.
  uint8_t key[16];
  for (size_t i = 0; i < sizeof key; i++) key[i] = static_cast<uint8_t>(i + 1);
  const uint8_t zero[kRc4TextSize] = {};
  uint8_t text[kRc4Lanes][kRc4TextSize];
  const uint8_t* keys[] = {key, key, key, key};
  const uint8_t* in[] = {zero, zero, zero, zero};
  uint8_t* out[] = {text[0], text[1], text[2], text[3]};
  Rc4Lanes states;
  rc4_decrypt_x4(states, keys, in, out);
  const std::vector<uint8_t> stream = unhex("9ac7cc9a609d1ef7b2932899cde41b97");
  for (const auto& lane : text) check(memcmp(lane, stream.data(), stream.size()) == 0, "RFC 6229 keystream");
}

}  // namespace

int main() {
  layers();
  std::vector<Kernel> kernels = machine().kernels;
  kernels.push_back({"auto", true, machine().plan});
  const Kernel* portable = nullptr;
  for (const Kernel& kernel : kernels) {
    if (strcmp(kernel.name, "portable") == 0) portable = &kernel;
  }
  for (const Kernel& kernel : kernels) {
    if (!kernel.supported) {
      printf("skipped: %s, this CPU or its OS cannot run it\n", kernel.name);
      continue;
    }
    published(kernel);
    parity(kernel, *portable);
    printf("ran: %s\n", kernel.name);
  }
  if (failures != 0) fprintf(stderr, "%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
