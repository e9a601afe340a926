// Does one named piece of work once, between two marks, so that an instruction counter leaves the start-up out. Linked
// with the very objects of the addon.
//
//   driver list                                  one line a kernel: name, 1 if this CPU runs it, its widths of PBKDF2
//   driver run KERNEL WORK JOBS ITERATIONS       prints the digests in hex; WORK is derive, md4, md5 or sha256
//   driver rounds KERNEL LANES ROUNDS            PBKDF2's inner loop alone, in one width; checked against
//                                                portable
//   driver plan KERNEL JOBS                      `lanes calls` of every width that a batch of JOBS is cut into; nothing
//                                                is computed
//
// Marks around `run` and `rounds`: the function `counted` (callgrind's --toggle-collect) and, with MARK_BY_SIGNAL in the environment, SIGUSR1
// before and after it (stepper.cc).
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "../../native/dispatch.h"
#include "../../native/hash_batch.h"
#include "../../native/orgid_batch.h"

namespace {

/// A kernel's widths with costs that are the same everywhere: a lane costs the same in all of them, so that the plan is
/// the one with the fewest idle lanes.
struct Own {
  phsync::Widths widths;
  phsync::Plan plan;
};

struct Work {
  const phsync::Plan* plan;
  std::string name;
  uint32_t iterations;
  /// 16 bytes a job: NT hashes or messages.
  std::vector<uint8_t> inputs;
  std::vector<uint8_t> salts;
  std::vector<phsync::HashJob> jobs;
  std::vector<uint8_t> digests;
};

/// What a kernel's `rounds` works on.
struct Arrays {
  alignas(phsync::kAlignment) uint32_t inner[8 * phsync::kMaxLanes];
  alignas(phsync::kAlignment) uint32_t outer[8 * phsync::kMaxLanes];
  alignas(phsync::kAlignment) uint32_t u[8 * phsync::kMaxLanes];
  alignas(phsync::kAlignment) uint32_t t[8 * phsync::kMaxLanes];
};

constexpr size_t kInputSize = 16;

size_t digest_size(const std::string& work) { return work == "md4" || work == "md5" ? 16 : 32; }

}  // namespace

// Not inlined and not renamed: callgrind finds it by this name.
extern "C" __attribute__((noinline)) void counted(Work& work) {
  if (work.name == "derive") {
    phsync::derive_batch(*work.plan, work.inputs.data(), work.salts.data(), work.jobs.size(), work.iterations,
                         work.digests.data());
  } else if (work.name == "md4") {
    phsync::md4_batch(*work.plan, work.jobs.data(), work.jobs.size());
  } else if (work.name == "md5") {
    phsync::md5_batch(*work.plan, work.jobs.data(), work.jobs.size());
  } else {
    phsync::sha256_batch(*work.plan, work.jobs.data(), work.jobs.size());
  }
}

namespace {

const bool mark_by_signal = std::getenv("MARK_BY_SIGNAL") != nullptr;

void mark() {
  if (mark_by_signal) std::raise(SIGUSR1);
}

template <class K>
void take(std::deque<phsync::Width<K>>& own, phsync::Cover<K>& cover, const std::deque<phsync::Width<K>>& all,
          const char* isa) {
  // What the ISA has no alternative for is left to the others, as the addon does.
  for (const bool any : {false, true}) {
    for (const phsync::Width<K>& width : all) {
      if (!any && std::strcmp(width.isa, isa) != 0) continue;
      own.emplace_back(width.isa, width.kernel);
      own.back().nanoseconds = static_cast<double>(width.kernel.lanes);
    }
    if (!own.empty()) break;
  }
  std::vector<const phsync::Width<K>*> pointers;
  for (const phsync::Width<K>& width : own) pointers.push_back(&width);
  cover = phsync::Cover<K>(pointers);
}

/// @param own stays where it is: the plan points into it.
void take_all(Own& own, const char* isa) {
  for (const phsync::Kernel& kernel : phsync::machine().kernels) {
    if (!kernel.supported || std::strcmp(kernel.name, isa) != 0) continue;
    const phsync::Widths& all = phsync::machine().widths;
    take(own.widths.md4, own.plan.md4, all.md4, isa);
    take(own.widths.md5, own.plan.md5, all.md5, isa);
    take(own.widths.sha256, own.plan.sha256, all.sha256, isa);
    take(own.widths.pbkdf2, own.plan.pbkdf2, all.pbkdf2, isa);
    return;
  }
  std::fprintf(stderr, "no kernel %s on this CPU\n", isa);
  std::exit(3);
}

int list() {
  for (const phsync::Kernel& kernel : phsync::machine().kernels) {
    std::printf("%s %d", kernel.name, kernel.supported ? 1 : 0);
    for (const phsync::Width<phsync::Pbkdf2Kernel>& width : phsync::machine().widths.pbkdf2) {
      if (std::strcmp(width.isa, kernel.name) == 0) std::printf(" %zu", width.kernel.lanes);
    }
    std::printf("\n");
  }
  return 0;
}

int run(const char* kernel, const std::string& name, size_t jobs, uint32_t iterations) {
  static Own own;
  take_all(own, kernel);
  Work work{&own.plan, name, iterations, {}, {}, {}, {}};
  // Prime periods: no two jobs are alike.
  for (size_t i = 0; i < jobs * kInputSize; i++) work.inputs.push_back(static_cast<uint8_t>(i % 251));
  for (size_t i = 0; i < jobs * phsync::kSaltSize; i++) work.salts.push_back(static_cast<uint8_t>(i % 241));
  const size_t size = digest_size(name);
  work.digests.resize(jobs * size);
  for (size_t i = 0; i < jobs; i++) {
    work.jobs.push_back({work.inputs.data() + i * kInputSize, kInputSize, nullptr, 0, work.digests.data() + i * size,
                         nullptr});
  }
  mark();
  counted(work);
  mark();
  for (const uint8_t byte : work.digests) std::printf("%02x", byte);
  std::printf("\n");
  return 0;
}

/// Lane l of every array gets words that depend on l alone, so that every width computes the same in it.
void fill(Arrays& arrays, size_t first_lane, size_t lanes) {
  const size_t stride = phsync::lane_stride(lanes);
  for (size_t i = 0; i < 8; i++) {
    for (size_t lane = 0; lane < lanes; lane++) {
      const uint32_t word = static_cast<uint32_t>(i * 0x9e3779b9 + (first_lane + lane) * 0x85ebca6b);
      arrays.inner[i * stride + lane] = word;
      arrays.outer[i * stride + lane] = word ^ 0x5c5c5c5c;
      arrays.u[i * stride + lane] = arrays.t[i * stride + lane] = word + 1;
    }
  }
}

int rounds(const char* kernel, size_t lanes, uint32_t count) {
  const phsync::Pbkdf2Kernel* chosen = nullptr;
  const phsync::Pbkdf2Kernel* found_portable = nullptr;
  for (const phsync::Width<phsync::Pbkdf2Kernel>& width : phsync::machine().widths.pbkdf2) {
    if (width.kernel.lanes == lanes && std::strcmp(width.isa, kernel) == 0) chosen = &width.kernel;
    if (std::strcmp(width.isa, "portable") == 0) found_portable = &width.kernel;
  }
  if (chosen == nullptr || found_portable == nullptr) {
    std::fprintf(stderr, "no kernel %s of %zu lanes on this CPU\n", kernel, lanes);
    return 3;
  }
  static Arrays arrays;
  static Arrays expected;
  fill(arrays, 0, lanes);
  mark();
  chosen->rounds(arrays.inner, arrays.outer, arrays.u, arrays.t, count);
  mark();
  const phsync::Pbkdf2Kernel& truth = *found_portable;
  for (size_t lane = 0; lane < lanes; lane += truth.lanes) {
    fill(expected, lane, truth.lanes);
    truth.rounds(expected.inner, expected.outer, expected.u, expected.t, count);
    for (size_t i = 0; i < 8 * truth.lanes; i++) {
      const size_t word = i / truth.lanes;
      const size_t at = lane + i % truth.lanes;
      if (at >= lanes) continue;
      if (expected.t[word * phsync::lane_stride(truth.lanes) + i % truth.lanes] !=
          arrays.t[word * phsync::lane_stride(lanes) + at]) {
        std::fprintf(stderr, "%s: lane %zu of %zu differs from portable\n", kernel, at, lanes);
        return 3;
      }
    }
  }
  return 0;
}

void no_rounds(const uint32_t*, const uint32_t*, uint32_t*, uint32_t*, uint32_t) {}
void no_compress(uint32_t*, const uint8_t* const*, size_t) {}

int plan(const char* kernel, size_t jobs) {
  static Own own;
  take_all(own, kernel);
  for (phsync::Width<phsync::BlockKernel>& width : own.widths.sha256) width.kernel.compress = no_compress;
  for (phsync::Width<phsync::Pbkdf2Kernel>& width : own.widths.pbkdf2) width.kernel.rounds = no_rounds;
  const std::vector<uint8_t> nt_hashes(jobs * phsync::kNtHashSize);
  const std::vector<uint8_t> salts(jobs * phsync::kSaltSize);
  std::vector<uint8_t> digests(jobs * phsync::kDigestSize);
  phsync::derive_batch(own.plan, nt_hashes.data(), salts.data(), jobs, 2, digests.data());
  for (const phsync::Width<phsync::Pbkdf2Kernel>& width : own.widths.pbkdf2) {
    const unsigned long long calls = width.calls;
    if (calls != 0) std::printf("%zu %llu\n", width.kernel.lanes, calls);
  }
  return 0;
}

int usage() {
  std::fputs(
      "usage: driver list | driver run KERNEL derive|md4|md5|sha256 JOBS ITERATIONS | driver rounds KERNEL LANES ROUNDS "
      "| driver plan KERNEL JOBS\n",
      stderr);
  return 2;
}

/// 0 for what is not a number.
size_t number(const char* text) { return std::strtoul(text, nullptr, 10); }

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  if (argc == 2 && command == "list") return list();
  if (argc == 4 && command == "plan" && number(argv[3]) > 0) {
    return plan(argv[2], number(argv[3]));
  }
  if (argc == 5 && command == "rounds" && number(argv[4]) > 0) {
    return rounds(argv[2], number(argv[3]), static_cast<uint32_t>(number(argv[4])));
  }
  if (argc == 6 && command == "run" && number(argv[4]) > 0 && number(argv[5]) > 0) {
    const std::string work = argv[3];
    if (work == "derive" || work == "md4" || work == "md5" || work == "sha256") {
      return run(argv[2], work, number(argv[4]), static_cast<uint32_t>(number(argv[5])));
    }
  }
  return usage();
}
