// The model of the SHA instructions (model/sha_ni.h) beside the instructions, on random registers.
#include <immintrin.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <random>

#include "../cpu_features.h"
#include "model/sha_ni.h"

using namespace phsync;

int main() {
  if (!cpu_features().sha_ni) {
    printf("skipped: the model beside the instructions, this CPU has none of them\n");
    return 0;
  }
  constexpr int kTrials = 100000;
  std::mt19937 random(1);
  const auto draw = [&random] {
    uint32_t words[4];
    for (uint32_t& word : words) word = random();
    __m128i drawn;
    memcpy(&drawn, words, sizeof words);
    return drawn;
  };
  int failures = 0;
  const auto check = [&failures](const char* name, __m128i model, __m128i real) {
    if (memcmp(&model, &real, sizeof model) == 0) return;
    if (failures++ < 10) fprintf(stderr, "FAIL %s differs\n", name);
  };
  for (int i = 0; i < kTrials; i++) {
    const __m128i a = draw(), b = draw(), wk = draw();
    check("SHA256RNDS2", model_sha256rnds2(a, b, wk), _mm_sha256rnds2_epu32(a, b, wk));
    check("SHA256MSG1", model_sha256msg1(a, b), _mm_sha256msg1_epu32(a, b));
    check("SHA256MSG2", model_sha256msg2(a, b), _mm_sha256msg2_epu32(a, b));
  }
  printf("ran: the model beside the instructions, %d registers each\n", kTrials);
  return failures == 0 ? 0 : 1;
}
