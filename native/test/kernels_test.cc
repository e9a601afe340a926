// Kernel tests without Node: published vectors and parity with the portable kernel, for sanitizers and cross builds.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <chrono>
#include <deque>
#include <string>
#include <thread>
#include <utility>
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

struct Keys {
  std::vector<std::vector<uint8_t>> passwords, salts;
};

std::vector<uint8_t> pbkdf2_all(const Plan& plan, const Keys& keys, uint32_t iterations, size_t dk_len) {
  const auto slices = [](const std::vector<std::vector<uint8_t>>& items) {
    std::vector<Slice> result;
    for (const std::vector<uint8_t>& item : items) result.push_back({item.data(), item.size()});
    return result;
  };
  std::vector<uint8_t> derived(keys.passwords.size() * dk_len);
  pbkdf2_many(plan, slices(keys.passwords).data(), slices(keys.salts).data(), keys.passwords.size(), iterations,
              dk_len, derived.data());
  return derived;
}

// Round the places where padding takes another block.
constexpr size_t kEdges[] = {0,  1,  2,   3,   31,  32,  33,  54,  55,  56,  57,  63,  64,  65,  111, 118,
                             119, 120, 121, 127, 128, 129, 183, 184, 191, 192, 193, 247, 248, 255, 256, 1000};
constexpr size_t kEdgeCount = sizeof kEdges / sizeof kEdges[0];

/// Lengths, key lengths and rounds against the portable kernel.
void edges(const Kernel& kernel, const Kernel& portable) {
  const std::string name = std::string(kernel.name) + " edges ";
  std::vector<std::vector<uint8_t>> messages;
  Keys keys;
  for (size_t i = 0; i < kEdgeCount; i++) {
    messages.push_back(painted(kEdges[i], 31 * i));
    keys.passwords.push_back(painted(kEdges[i], i));
    keys.salts.push_back(painted(kEdges[i * 5 % kEdgeCount], 13 * i));
  }
  check(hash_all(kernel, md4_batch, 16, messages) == hash_all(portable, md4_batch, 16, messages), name + "MD4");
  check(hash_all(kernel, md5_batch, 16, messages) == hash_all(portable, md5_batch, 16, messages), name + "MD5");
  check(hash_all(kernel, sha256_batch, 32, messages) == hash_all(portable, sha256_batch, 32, messages),
        name + "SHA-256");
  for (const uint32_t iterations : {1, 2, 999, 1000, 4096}) {
    // An emulator takes its time: a third of the passwords is enough for the long runs.
    if (iterations == 999) {
      keys.passwords.resize(kEdgeCount / 3);
      keys.salts.resize(kEdgeCount / 3);
    }
    for (const size_t dk_len : {1, 31, 32, 33, 64, 65}) {
      if (iterations > 2 && dk_len != 33) continue;
      check(pbkdf2_all(kernel.plan, keys, iterations, dk_len) == pbkdf2_all(portable.plan, keys, iterations, dk_len),
            name + std::to_string(iterations) + " rounds, dkLen " + std::to_string(dk_len));
    }
  }
}

/// Every job count past twice the lanes, with lengths round the block edges, against the portable kernel.
void parity(const Kernel& kernel, const Kernel& portable) {
  for (size_t count = 1; count <= 2 * kernel.plan.pbkdf2.bulk().kernel.lanes + 1 || count <= 31; count++) {
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

/// The least cost of `jobs` jobs, by trying every width for the next call.
double least_cost(const std::vector<const Width<Pbkdf2Kernel>*>& widths, size_t jobs) {
  if (jobs == 0) return 0;
  double least = 1e300;
  for (const Width<Pbkdf2Kernel>* width : widths) {
    const size_t taken = width->kernel.lanes < jobs ? width->kernel.lanes : jobs;
    const double cost = width->nanoseconds + least_cost(widths, jobs - taken);
    if (cost < least) least = cost;
  }
  return least;
}

void plans() {
  struct Case {
    const char* what;
    std::vector<std::pair<size_t, double>> widths;
    /// Lanes of the calls that so many jobs get.
    std::vector<std::pair<size_t, std::vector<size_t>>> calls;
  };
  const std::vector<Case> cases = {
      {"wide and narrow", {{16, 300}, {8, 250}, {2, 83}}, {{1, {2}}, {3, {2, 2}}, {7, {8}}, {9, {16}}, {17, {16, 2}}}},
      {"a narrow one that costs as much", {{16, 300}, {1, 300}}, {{1, {16}}, {2, {16}}, {17, {16, 16}}}},
      {"a narrow one that is best a lane", {{16, 300}, {4, 60}}, {{1, {4}}, {16, {4, 4, 4, 4}}, {200, {4}}}},
      {"lanes that are no power of two",
       {{34, 470}, {32, 450}, {16, 300}, {1, 90}},
       {{34, {34}}, {33, {34}}, {68, {34, 34}}, {35, {34, 1}}, {50, {34, 16}}}},
      {"one", {{1, 7}}, {{1, {1}}, {3, {1, 1, 1}}}},
  };
  for (const Case& one : cases) {
    std::deque<Width<Pbkdf2Kernel>> widths;
    std::vector<const Width<Pbkdf2Kernel>*> pointers;
    for (const auto& [lanes, nanoseconds] : one.widths) {
      widths.emplace_back("planned", Pbkdf2Kernel{lanes, nullptr});
      widths.back().nanoseconds = nanoseconds;
      pointers.push_back(&widths.back());
    }
    const Cover<Pbkdf2Kernel> cover(pointers);
    for (const auto& [jobs, wanted] : one.calls) {
      size_t left = jobs;
      for (const size_t lanes : wanted) {
        const size_t chosen = left == 0 ? 0 : cover.next(left).kernel.lanes;
        check(chosen == lanes, std::string("plan of ") + one.what + ": " + std::to_string(jobs) + " jobs, wanted " +
                                   std::to_string(lanes) + " lanes, got " + std::to_string(chosen));
        left -= left < chosen ? left : chosen;
      }
    }
    for (size_t jobs = 1; jobs <= 24; jobs++) {
      double cost = 0;
      for (size_t left = jobs; left != 0;) {
        const Width<Pbkdf2Kernel>& width = cover.next(left);
        cost += width.nanoseconds;
        left -= left < width.kernel.lanes ? left : width.kernel.lanes;
      }
      check(cost <= least_cost(pointers, jobs) * (1 + 1e-6),
            std::string("cost of ") + one.what + ": " + std::to_string(jobs) + " jobs");
    }
  }
}

/// A kernel whose second run is interrupted for 50 ms.
void interrupted(const uint32_t*, const uint32_t*, uint32_t*, uint32_t*, uint32_t) {
  static int runs = 0;
  if (++runs == 2) std::this_thread::sleep_for(std::chrono::milliseconds(50));
}

void measurement() {
  Widths widths;
  widths.pbkdf2.emplace_back("interrupted", Pbkdf2Kernel{1, interrupted});
  const double whole = measure(widths);
  check(whole >= 50e6, "the measurement was interrupted");
  // Of 32 rounds: even a tenth of the interruption in one run of them would show as 156 microseconds.
  check(widths.pbkdf2[0].nanoseconds < 50e6 / 32 / 10, "an interruption does not show in what a kernel costs");
}

/// No kernel has more lanes than the schedulers have room for.
template <class K>
void limits(const std::deque<Width<K>>& widths, size_t most) {
  for (const Width<K>& width : widths) {
    check(width.kernel.lanes >= 1 && width.kernel.lanes <= most, std::string(width.isa) + " has too many lanes");
  }
}

void layers() {
  const uint8_t digits[] = {'1', '2', '3', '4', '5', '6', '7', '8', '9'};
  check(crc32(digits, sizeof digits) == 0xcbf43926, "CRC-32 check value");
  // RFC 6229, 128-bit key 0x0102…10: the first 16 bytes of keystream.
  uint8_t key[16];
  for (size_t i = 0; i < sizeof key; i++) key[i] = static_cast<uint8_t>(i + 1);
  const std::vector<uint8_t> zero(4112);
  std::vector<uint8_t> text[kRc4Lanes];
  for (std::vector<uint8_t>& lane : text) lane.resize(zero.size());
  const uint8_t* keys[] = {key, key, key, key};
  Rc4Lanes states;
  rc4_start_x4(states, keys);
  // The lanes go together over two cuts, then each alone.
  const size_t cuts[] = {0, 4, 245, zero.size()};
  for (size_t cut = 0; cut < 2; cut++) {
    const uint8_t* in[kRc4Lanes];
    uint8_t* out[kRc4Lanes];
    for (size_t lane = 0; lane < kRc4Lanes; lane++) {
      in[lane] = zero.data() + cuts[cut];
      out[lane] = text[lane].data() + cuts[cut];
    }
    rc4_next_x4(states, in, out, cuts[cut + 1] - cuts[cut]);
  }
  for (size_t lane = 0; lane < kRc4Lanes; lane++) {
    rc4_rest(states, lane, zero.data() + cuts[2], text[lane].data() + cuts[2], cuts[3] - cuts[2]);
  }
  const std::pair<size_t, const char*> streams[] = {{0, "9ac7cc9a609d1ef7b2932899cde41b97"},
                                                    {16, "5248c4959014126a6e8a84f11d1a9e1c"},
                                                    {240, "065902e4b620f6cc36c8589f66432f2b"},
                                                    {4096, "a36a4c301ae8ac13610ccbc12256cacc"}};
  for (const auto& lane : text) {
    for (const auto& [at, stream] : streams) {
      check(memcmp(lane.data() + at, unhex(stream).data(), 16) == 0, "RFC 6229 key stream at " + std::to_string(at));
    }
  }
}

}  // namespace

int main() {
  layers();
  plans();
  measurement();
  limits(machine().widths.md4, kMaxBlockLanes);
  limits(machine().widths.md5, kMaxBlockLanes);
  limits(machine().widths.sha256, kMaxBlockLanes);
  limits(machine().widths.pbkdf2, kMaxLanes);
  std::vector<Kernel> kernels = machine().kernels;
  for (const SingleWidth& width : machine().single_widths) kernels.push_back({width.name.c_str(), true, width.plan});
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
    edges(kernel, *portable);
    parity(kernel, *portable);
    printf("ran: %s\n", kernel.name);
  }
  if (failures != 0) fprintf(stderr, "%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
