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

class BarrierTest : public testing::TestWithParam<std::vector<int>> {};

TEST_P(BarrierTest, NobodyPassesBeforeAllHaveArrived) {
  const std::vector<int> workers_per_node = GetParam();
  const TickClock clock;
  Barrier barrier(workers_per_node, {.cpu_is_shared = true}, clock);
  std::vector<std::thread> threads;
  int global_workers = 0;
  for (int workers : workers_per_node) global_workers += workers;
  std::vector<int> rounds(global_workers);  // plain: the barrier orders them
  std::atomic<int> errors{0};
  int first = 0;
  for (int node = 0; node < static_cast<int>(workers_per_node.size()); ++node) {
    for (int w = 0; w < workers_per_node[node]; ++w) {
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
    first += workers_per_node[node];
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(errors, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, BarrierTest,
    testing::Values(std::vector<int>{1}, std::vector<int>{3},
                    std::vector<int>{1, 1}, std::vector<int>{2, 1, 3},
                    std::vector<int>{1, 1, 1, 1, 1, 1, 1, 1}));

TEST(Barrier, TellsBusyFromWaiting) {
  TickClock clock;
  clock.Calibrate();
  Barrier barrier(std::vector<int>{2}, {}, clock);
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
