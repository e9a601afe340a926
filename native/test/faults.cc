// Faults that the sanitizers must see, each in code of ours that is given wrong sizes or addresses:
//   faults FAULT KERNEL
// It ends with 0 where nobody noticed.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <string>
#include <vector>

#include "../dispatch.h"
#include "../hash_batch.h"

using namespace phsync;

namespace {

/// `size` bytes of message of which one is missing.
void hash_too_far(const Plan& plan, size_t size) {
  const std::vector<uint8_t> message(size - 1, 'a');
  uint8_t digest[32];
  const HashJob job = {message.data(), size, nullptr, 0, digest, nullptr};
  sha256_batch(plan, &job, 1);
  printf("%02x\n", digest[0]);
}

void compress_misaligned(const BlockKernel& kernel) {
  std::vector<uint8_t> memory(8 * 4 * kernel.lanes + 2 * kAlignment);
  const uintptr_t address = reinterpret_cast<uintptr_t>(memory.data());
  const size_t odd = (kAlignment - address % kAlignment) % kAlignment + 1;
  const uint8_t block[kBlockSize] = {};
  const std::vector<const uint8_t*> blocks(kernel.lanes, block);
  kernel.compress(reinterpret_cast<uint32_t*>(memory.data() + odd), blocks.data(), 1);
  printf("%02x\n", memory[odd]);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string fault = argv[1];
  for (const Kernel& kernel : machine().kernels) {
    if (!kernel.supported || strcmp(kernel.name, argv[2]) != 0) continue;
    if (fault == "message") {
      // Whole blocks are read by the kernel, where they stand.
      hash_too_far(kernel.plan, 2 * kBlockSize);
    } else if (fault == "tail") {
      // The rest is copied by the scheduler.
      hash_too_far(kernel.plan, kBlockSize + 1);
    } else if (fault == "misaligned") {
      compress_misaligned(kernel.plan.sha256.bulk().kernel);
    } else {
      return 2;
    }
    return 0;
  }
  return 2;
}
