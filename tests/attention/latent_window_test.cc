#include "attention/latent_window.h"

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/attention/cached_sequences.h"

#include "numa/barrier.h"
#include "numa/tick_clock.h"

namespace mlad {
namespace {

constexpr int kNodes = 2;
constexpr int kNode = 1;  // whose workers are here
constexpr int kWorkers = 3;
// Both halves are used twice, and the last page is not full.
constexpr int64_t kContext = 3 * LatentWindow::kPositions + 70;

int64_t RowsOfPage(int64_t page) {
  return std::min<int64_t>(kPagePositions, kContext - page * kPagePositions);
}

/// The workers of node 1, whose barrier knows of no other node: what they fetch
/// is in place before they start.
class LatentWindowTest : public testing::Test {
 protected:
  LatentWindowTest()
      : sequences_(*SupportedKernels().front(), KvType::kQ8KV, kNodes),
        barrier_(std::vector<std::vector<int>>{{}, std::vector<int>(kWorkers)},
                 {.cpu_is_shared = true}, clock_),
        buffer_(
            LatentWindow::BufferBytes(sequences_.cache().shape().row_elements)),
        traffic_(kWorkers) {
    sequences_.Add(kContext, 4);
  }

  /// body(window, worker) on a thread for each worker.
  template <typename Body>
  void RunWorkers(Body body) {
    std::vector<std::thread> threads;
    for (int w = 0; w < kWorkers; ++w) {
      threads.emplace_back([&, w] {
        const WorkerContext worker = {.node = kNode,
                                      .nodes = kNodes,
                                      .worker = w,
                                      .workers = kWorkers,
                                      .global_worker = w,
                                      .global_workers = kWorkers,
                                      .everyone = &barrier_};
        const RowGroup rows = {&sequences_.pages(0), 0, 0, kContext, 0};
        LatentWindow window(sequences_.cache(), CachedSequences::kLayer, rows,
                            buffer_.data(), worker, &traffic_[w]);
        body(window, w);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  bool ShowsPage(const LatentWindow& window, int64_t page) const {
    const LatentCache& cache = sequences_.cache();
    return std::memcmp(window.Rows(page),
                       cache.Rows(sequences_.pages(0).pages[page],
                                  CachedSequences::kLayer),
                       RowsOfPage(page) * cache.row_bytes()) == 0;
  }

  CachedSequences sequences_;
  TickClock clock_;
  Barrier barrier_;
  std::vector<std::byte> buffer_;
  std::vector<Traffic> traffic_;  // [workers]
};

// A worker that lags keeps what it reads: the others wait before they fetch
// over it.
TEST_F(LatentWindowTest, EveryWorkerSeesEveryPageInEveryWalk) {
  std::atomic<int> wrong{0};
  RunWorkers([&](LatentWindow& window, int worker) {
    for (int walk = 0; walk < 3; ++walk) {
      for (int64_t page = 0; page * kPagePositions < kContext; ++page) {
        window.MoveTo(page * kPagePositions);
        if (worker == walk) std::this_thread::yield();
        wrong += ShowsPage(window, page) ? 0 : 1;
      }
      window.Finish();
    }
  });
  EXPECT_EQ(wrong, 0);
}

TEST_F(LatentWindowTest, PagesOfOtherNodesComeOnceForAllWorkers) {
  // One walks, one looks at half of it, one has nothing to do.
  RunWorkers([&](LatentWindow& window, int worker) {
    if (worker < 2) window.MoveTo(worker == 0 ? kContext - 1 : kContext / 2);
    window.Finish();
  });
  const PageTable& pages = sequences_.pages(0);
  int64_t remote_rows = 0;
  for (size_t page = 0; page < pages.pages.size(); ++page) {
    if (pages.pages[page].node != kNode) {
      remote_rows += RowsOfPage(static_cast<int64_t>(page));
    }
  }
  int64_t remote_bytes = 0, most = 0;
  for (const Traffic& traffic : traffic_) {
    remote_bytes += traffic.remote_bytes;
    most = std::max(most, traffic.remote_bytes);
    EXPECT_EQ(traffic.local_bytes, 0);
  }
  EXPECT_GT(remote_rows, 0);
  EXPECT_EQ(remote_bytes, remote_rows * sequences_.cache().row_bytes());
  EXPECT_LT(most, remote_bytes / 2);  // the workers share them
}

}  // namespace
}  // namespace mlad
