#include "rpc/work_queue.h"

#include <atomic>
#include <future>
#include <vector>

#include "gtest/gtest.h"

namespace mlad {
namespace {

TEST(WorkQueue, RunsWhatWaitsBeforeItEnds) {
  std::atomic<int> ran = 0;
  {
    WorkQueue queue(2, 1000);
    for (int i = 0; i < 500; ++i) ASSERT_TRUE(queue.TryPush([&] { ++ran; }));
  }
  EXPECT_EQ(ran, 500);
}

TEST(WorkQueue, RefusesNewJobsWhenFullButContinues) {
  std::promise<void> started, release;
  std::vector<int> order;
  {
    WorkQueue queue(1, 2);
    ASSERT_TRUE(queue.TryPush([&] {
      started.set_value();
      release.get_future().wait();
    }));
    started.get_future().wait();
    EXPECT_TRUE(queue.TryPush([&] { order.push_back(1); }));
    EXPECT_TRUE(queue.TryPush([&] { order.push_back(2); }));
    EXPECT_FALSE(queue.TryPush([&] { order.push_back(3); }));
    queue.Continue([&] { order.push_back(0); });
    release.set_value();
  }
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

TEST(WorkQueue, FreesAJobAfterItRan) {
  const auto held = std::make_shared<int>(1);
  std::promise<void> next_ran;
  WorkQueue queue(1, 10);
  ASSERT_TRUE(queue.TryPush([held] {}));
  ASSERT_TRUE(queue.TryPush([&] { next_ran.set_value(); }));
  next_ran.get_future().wait();
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace mlad
