// Which width takes how many jobs: the cheapest cover of a batch by kernels of unequal widths and costs.
#ifndef PHSYNC_PLAN_H_
#define PHSYNC_PLAN_H_

#include <stddef.h>
#include <stdint.h>

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

#include "kernels/kernels.h"

namespace phsync {

/// A BlockKernel or Pbkdf2Kernel, and what it costs on this machine.
template <class K>
struct Width {
  Width(const char* isa_name, const K& the_kernel) : isa(isa_name), kernel(the_kernel) {}

  const char* isa;
  K kernel;
  /// Of one round or block in all lanes, idle or not.
  double nanoseconds = 0;
  /// Since the process began, without those of the measurement.
  mutable std::atomic<uint64_t> calls{0};
};

/// The widths to choose from, and the choice for every number of jobs.
template <class K>
class Cover {
 public:
  Cover() = default;

  /// `widths`, at least one, outlive the cover.
  explicit Cover(std::vector<const Width<K>*> widths) : widths_(std::move(widths)) {
    if (widths_.empty()) return;
    // Of equally cheap choices the widest comes first: idle lanes are the last call's.
    std::stable_sort(widths_.begin(), widths_.end(),
                     [](const Width<K>* a, const Width<K>* b) { return a->kernel.lanes > b->kernel.lanes; });
    const auto per_lane = [](const Width<K>* w) { return w->nanoseconds / static_cast<double>(w->kernel.lanes); };
    bulk_ = *std::min_element(widths_.begin(), widths_.end(), [&](const Width<K>* a, const Width<K>* b) {
      return per_lane(a) < per_lane(b);
    });
    std::vector<double> cost(kPlannedJobs + 1);
    for (size_t jobs = 1; jobs <= kPlannedJobs; jobs++) {
      for (const Width<K>* width : widths_) {
        const double sum = width->nanoseconds + cost[jobs - std::min(jobs, width->kernel.lanes)];
        // The sums of the same calls in another order differ in their last bits.
        if (choice_[jobs] != nullptr && sum >= cost[jobs] * (1 - 1e-9)) continue;
        cost[jobs] = sum;
        choice_[jobs] = width;
      }
    }
  }

  /// Takes the next of `jobs` (at least 1) jobs: as many as it has lanes, or all.
  const Width<K>& next(size_t jobs) const { return jobs <= kPlannedJobs ? *choice_[jobs] : *bulk_; }

  /// Takes all of a large batch but the tail.
  const Width<K>& bulk() const { return *bulk_; }

  bool empty() const { return widths_.empty(); }

 private:
  /// Tails are planned exactly up to here; of more jobs the first go to the width that is cheapest a lane.
  static constexpr size_t kPlannedJobs = 2 * kMaxLanes;

  std::vector<const Width<K>*> widths_;
  const Width<K>* bulk_ = nullptr;
  const Width<K>* choice_[kPlannedJobs + 1] = {};
};

/// A cover for every algorithm.
struct Plan {
  Cover<BlockKernel> md4;
  Cover<BlockKernel> md5;
  Cover<BlockKernel> sha256;
  Cover<Pbkdf2Kernel> pbkdf2;
};

}  // namespace phsync

#endif
