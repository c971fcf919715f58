// A program of its own, because it counts every allocation.
#include <atomic>
#include <cstdlib>
#include <new>

#include <gtest/gtest.h>

#include "engine/sampling.h"

namespace {
std::atomic<int64_t> allocations = 0;
}  // namespace

void* operator new(size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace mlad {
namespace {

TEST(SamplerMemory, OnlyTheFirstTokenAllocates) {
  std::vector<float> logits(129'280);
  for (size_t i = 0; i < logits.size(); ++i) {
    logits[i] = static_cast<float>((i * 7919) % 1000) * 0.02f;
  }
  SamplingParams params;
  params.seed = 1;
  params.temperature = 0.7f;
  params.top_p = 0.95f;
  params.top_k = 5000;
  params.min_p = 0.001f;
  Sampler sampler(params, {});
  const int64_t before = allocations;
  sampler.Sample(logits, -1);
  EXPECT_GT(allocations, before);
  const int64_t after_first = allocations;
  for (int i = 0; i < 5; ++i) sampler.Sample(logits, -1);
  EXPECT_EQ(allocations, after_first);
}

}  // namespace
}  // namespace mlad
