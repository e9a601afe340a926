// The shortest of several runs each: nothing that happens to a process, descheduling least of all, makes a run shorter.
// The widths take turns, so that one long interruption spoils at most one run of each.
#include "measure.h"

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

namespace phsync {
namespace {

using Clock = std::chrono::steady_clock;

double nanoseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
}

/// Rounds of a run of PBKDF2: what a call does before and after its rounds weighs 1 part in 50.
constexpr uint32_t kRounds = 32;
/// Calls of one block in a run of a compression function; batches of short messages call it so.
constexpr size_t kBlocks = 16;
constexpr int kMinPasses = 4;
constexpr int kMaxPasses = 12;
constexpr double kBudget = 2e6;

struct Scratch {
  alignas(kAlignment) uint32_t inner[8 * kMaxLanes];
  alignas(kAlignment) uint32_t outer[8 * kMaxLanes];
  alignas(kAlignment) uint32_t u[8 * kMaxLanes];
  alignas(kAlignment) uint32_t t[8 * kMaxLanes];
  uint8_t block[kBlockSize];
  const uint8_t* blocks[kMaxLanes];
};

struct Trial {
  std::function<void()> run;
  double units;
  double* nanoseconds;
};

void add(std::vector<Trial>& trials, Scratch& scratch, std::deque<Width<BlockKernel>>& widths) {
  for (Width<BlockKernel>& width : widths) {
    const BlockKernel& kernel = width.kernel;
    trials.push_back({[&kernel, &scratch] {
                        for (size_t i = 0; i < kBlocks; i++) kernel.compress(scratch.t, scratch.blocks, 1);
                      },
                      static_cast<double>(kBlocks), &width.nanoseconds});
  }
}

void add(std::vector<Trial>& trials, Scratch& scratch, std::deque<Width<Pbkdf2Kernel>>& widths) {
  for (Width<Pbkdf2Kernel>& width : widths) {
    const Pbkdf2Kernel& kernel = width.kernel;
    trials.push_back({[&kernel, &scratch] {
                        kernel.rounds(scratch.inner, scratch.outer, scratch.u, scratch.t, kRounds);
                      },
                      static_cast<double>(kRounds), &width.nanoseconds});
  }
}

}  // namespace

double measure(Widths& widths) {
  const Clock::time_point begin = Clock::now();
  // The time of an instruction does not depend on its operands here, so all is zero.
  const std::unique_ptr<Scratch> scratch(new Scratch());
  for (const uint8_t*& block : scratch->blocks) block = scratch->block;
  std::vector<Trial> trials;
  add(trials, *scratch, widths.pbkdf2);
  add(trials, *scratch, widths.sha256);
  add(trials, *scratch, widths.md5);
  add(trials, *scratch, widths.md4);
  for (int pass = 0; pass < kMaxPasses && (pass < kMinPasses || nanoseconds_since(begin) < kBudget); pass++) {
    for (const Trial& trial : trials) {
      const Clock::time_point start = Clock::now();
      trial.run();
      const double nanoseconds = nanoseconds_since(start) / trial.units;
      if (pass == 0 || nanoseconds < *trial.nanoseconds) *trial.nanoseconds = nanoseconds;
    }
  }
  return nanoseconds_since(begin);
}

}  // namespace phsync
