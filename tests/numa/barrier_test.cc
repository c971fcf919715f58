#include "numa/barrier.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "numa/tick_clock.h"
#include "numa/wait_counter.h"

namespace mlad {
namespace {

class WaitCounterTest : public testing::TestWithParam<WaitPolicy> {};

// The first values find the waiter spinning or yielding, the later ones asleep.
TEST_P(WaitCounterTest, NoValueIsMissedHoweverLateItComes) {
  WaitCounter counter;
  std::atomic<uint32_t> seen{0};
  std::thread waiter([&] {
    for (uint32_t i = 0; i < 300; ++i) {
      counter.Wait(i, GetParam());
      seen = i + 1;
    }
  });
  for (uint32_t i = 1; i <= 300; ++i) {
    if (i > 290) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    counter.Publish(i);
    while (seen != i) std::this_thread::yield();
  }
  waiter.join();
  EXPECT_EQ(counter.value(), 300u);
}

// CPU time of a thread that waits 100 ms: the policy allows 0.2 ms of it.
TEST_P(WaitCounterTest, WaitersSleep) {
  WaitCounter counter;
  std::atomic<int64_t> cpu_ns{-1};
  std::thread waiter([&] {
    counter.Wait(0, GetParam());
    timespec used = {};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    cpu_ns = used.tv_sec * 1'000'000'000 + used.tv_nsec;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  counter.Publish(1);
  waiter.join();
  EXPECT_LT(cpu_ns, 20'000'000);
}

INSTANTIATE_TEST_SUITE_P(Policies, WaitCounterTest,
                         testing::Values(WaitPolicy{}, WaitPolicy{.spin_ns = 0},
                                         WaitPolicy{.cpu_is_shared = true}));

/// [nodes][workers] the L3 cache over each worker.
using L3Groups = std::vector<std::vector<int>>;

class BarrierTest : public testing::TestWithParam<L3Groups> {};

TEST_P(BarrierTest, NobodyPassesBeforeAllHaveArrived) {
  const L3Groups l3_groups = GetParam();
  const TickClock clock;
  Barrier barrier(l3_groups, {.cpu_is_shared = true}, clock);
  std::vector<std::thread> threads;
  size_t global_workers = 0;
  for (const auto& of_node : l3_groups) global_workers += of_node.size();
  std::vector<int> rounds(global_workers);  // plain: the barrier orders them
  std::atomic<int> errors{0};
  int first = 0;
  for (int node = 0; node < static_cast<int>(l3_groups.size()); ++node) {
    const int workers = static_cast<int>(l3_groups[node].size());
    for (int w = 0; w < workers; ++w) {
      threads.emplace_back([&, node, me = first + w] {
        barrier.Begin(me);
        for (int round = 1; round <= 200; ++round) {
          rounds[me] = round;
          barrier.ArriveAndWait(node, me);
          for (int other : rounds) errors += other != round;
          barrier.ArriveAndWaitOnNode(node, me);
          barrier.ArriveAndWait(node, me);
        }
      });
    }
    first += workers;
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(errors, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, BarrierTest,
    testing::Values(L3Groups{{-1}}, L3Groups{{0, 0, 0}}, L3Groups{{0}, {1}},
                    L3Groups{{0, 0}, {1}, {2, 2, 2}},
                    L3Groups{{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}},
                    // Several caches a node: even, uneven, not in order, one
                    // for each worker, and one that two nodes share.
                    L3Groups{{0, 0, 1, 1}}, L3Groups{{4, 9, 4, 4}, {7, 7}},
                    L3Groups{{0, 1, 2}, {3, 4, 4}}, L3Groups{{0, 1}, {1, 2, 2}},
                    // More under a cache than meet at one gate.
                    L3Groups{std::vector<int>(2 * kMostWorkersAtAGate + 1)},
                    L3Groups{std::vector<int>(kMostWorkersAtAGate + 1),
                             {1, 1, 1}}));

TEST(Barrier, TellsBusyFromWaiting) {
  TickClock clock;
  clock.Calibrate();
  Barrier barrier(L3Groups{{0, 0}}, {}, clock);
  const auto worker = [&](int me, int busy_ms) {
    barrier.Begin(me);
    std::this_thread::sleep_for(std::chrono::milliseconds(busy_ms));
    barrier.ArriveAndWait(0, me);
  };
  std::thread other([&] { worker(1, 0); });
  worker(0, 60);
  other.join();
  EXPECT_GE(barrier.busy_ns(0), 59'000'000);
  // Half of it: the other thread may start late on a loaded machine.
  EXPECT_GE(barrier.waited_ns(1), 30'000'000);
  EXPECT_GE(barrier.busy_ns(1), 0);
}

TEST(TickClock, AgreesWithTheMonotonicClock) {
  TickClock clock;
  clock.Calibrate();
  // The monotonic clock is read around and between the ticks, so that losing
  // the CPU anywhere only widens the bounds; 1% is for the calibration.
  const int64_t outer_begin = MonotonicNanoseconds();
  const int64_t ticks = clock.Now();
  const int64_t inner_begin = MonotonicNanoseconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const int64_t inner_end = MonotonicNanoseconds();
  const int64_t measured_ns = clock.ToNanoseconds(clock.Now() - ticks);
  const int64_t outer_end = MonotonicNanoseconds();
  EXPECT_GE(measured_ns, (inner_end - inner_begin) * 0.99);
  EXPECT_LE(measured_ns, (outer_end - outer_begin) * 1.01);
}

}  // namespace
}  // namespace mlad
