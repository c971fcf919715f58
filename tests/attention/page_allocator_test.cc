#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attention/latent_cache.h"

namespace mlad {
namespace {

using ::testing::HasSubstr;

int64_t UsedPages(const PageAllocator& allocator) {
  int64_t used = 0;
  for (int n = 0; n < allocator.nodes(); ++n) used += allocator.used_pages(n);
  return used;
}

TEST(PageAllocator, PagesForTokensRoundsUp) {
  EXPECT_EQ(PageAllocator::PagesForTokens(0), 0);
  EXPECT_EQ(PageAllocator::PagesForTokens(1), 1);
  EXPECT_EQ(PageAllocator::PagesForTokens(32), 1);
  EXPECT_EQ(PageAllocator::PagesForTokens(33), 2);
}

TEST(PageAllocator, PagesGoToTheNodesOfTheirLanes) {
  for (const int nodes : {1, 2, 3, 4, 8}) {
    PageAllocator allocator(std::vector<int64_t>(nodes, 100));
    for (int sequence = 0; sequence < nodes; ++sequence) {
      PageTable table = allocator.NewTable();
      ASSERT_TRUE(allocator.Grow(table, 70 * kPagePositions).ok());
      ASSERT_EQ(table.pages.size(), 70u);
      for (int page = 0; page < 70; ++page) {
        EXPECT_EQ(table.pages[page].node,
                  LaneNode(page % kLanes, table.first_node, nodes));
        if (page >= kLanes) {  // a lane stays on one node
          EXPECT_EQ(table.pages[page].node, table.pages[page - kLanes].node);
        }
      }
      allocator.Release(table);
    }
  }
}

TEST(PageAllocator, FirstNodeRotates) {
  PageAllocator allocator({4, 4, 4});
  for (const int expected : {0, 1, 2, 0, 1}) {
    EXPECT_EQ(allocator.NewTable().first_node, expected);
  }
}

TEST(PageAllocator, PagesAreHandedOutOnce) {
  PageAllocator allocator({40, 40});
  std::set<std::pair<int, int>> seen;
  std::vector<PageTable> tables;
  for (int i = 0; i < 8; ++i) {
    PageTable& table = tables.emplace_back(allocator.NewTable());
    ASSERT_TRUE(allocator.Grow(table, 10 * kPagePositions).ok());
    for (const PageRef& page : table.pages) {
      EXPECT_TRUE(seen.insert({page.node, page.index}).second);
      EXPECT_LT(page.index, 40);
      EXPECT_GE(page.index, 0);
    }
  }
  EXPECT_EQ(allocator.used_pages(0), 40);
  EXPECT_EQ(allocator.used_pages(1), 40);
  for (PageTable& table : tables) allocator.Release(table);
  EXPECT_EQ(UsedPages(allocator), 0);
}

TEST(PageAllocator, GrowsByWholePagesAndKeepsEarlierOnes) {
  PageAllocator allocator({10});
  PageTable table = allocator.NewTable();
  ASSERT_TRUE(allocator.Grow(table, 1).ok());
  const PageRef first = table.pages[0];
  ASSERT_TRUE(allocator.Grow(table, 32).ok());
  EXPECT_EQ(allocator.used_pages(0), 1);
  EXPECT_EQ(table.capacity_tokens(), 32);
  ASSERT_TRUE(allocator.Grow(table, 33).ok());
  EXPECT_EQ(table.pages.size(), 2u);
  EXPECT_EQ(table.pages[0].index, first.index);
  ASSERT_TRUE(allocator.Grow(table, 5).ok());  // never shrinks
  EXPECT_EQ(table.pages.size(), 2u);
}

TEST(PageAllocator, RefusesAllOrNothing) {
  PageAllocator allocator({3, 1});
  PageTable table = allocator.NewTable();
  ASSERT_TRUE(allocator.Grow(table, 2 * kPagePositions).ok());
  // Pages 2 (node 0) and 3 (node 1): node 1 has none left.
  const absl::Status status = allocator.Grow(table, 4 * kPagePositions);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr("128 tokens"));
  EXPECT_THAT(message, HasSubstr("1 more pages"));
  EXPECT_THAT(message, HasSubstr("node 1, which has 0 of 1 free"));
  EXPECT_THAT(message, HasSubstr("wait until other requests finish"));
  EXPECT_EQ(table.pages.size(), 2u);
  EXPECT_EQ(allocator.used_pages(0), 1);
  ASSERT_TRUE(allocator.Grow(table, 3 * kPagePositions).ok());
  allocator.Release(table);
  EXPECT_EQ(UsedPages(allocator), 0);
}

TEST(PageAllocator, ARequestBeyondTheCapacityIsNotToldToWait) {
  PageAllocator allocator({3});
  PageTable table = allocator.NewTable();
  const absl::Status status = allocator.Grow(table, 4 * kPagePositions);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr("shorten the prompt"));
  EXPECT_THAT(message, ::testing::Not(HasSubstr("wait")));
  EXPECT_TRUE(table.pages.empty());
}

TEST(PageAllocator, ReleasedTablesAreEmptyAndCanGrowAgain) {
  PageAllocator allocator({4});
  PageTable table = allocator.NewTable();
  ASSERT_TRUE(allocator.Grow(table, 100).ok());
  allocator.Release(table);
  EXPECT_TRUE(table.pages.empty());
  allocator.Release(table);  // nothing to give back
  EXPECT_EQ(allocator.used_pages(0), 0);
  EXPECT_TRUE(allocator.Grow(table, 4 * kPagePositions).ok());
  EXPECT_EQ(allocator.used_pages(0), 4);
  EXPECT_EQ(allocator.capacity_pages(0), 4);
}

TEST(PageAllocator, APageIsFreeWhenItsLastHolderDropsIt) {
  PageAllocator allocator({2});
  PageTable table = allocator.NewTable();
  ASSERT_TRUE(allocator.Grow(table, 2 * kPagePositions).ok());
  const PageRef shared = table.pages[1];
  allocator.Share(shared);
  allocator.Share(shared);
  allocator.Release(table);
  EXPECT_EQ(allocator.used_pages(0), 1);
  EXPECT_EQ(allocator.free_pages(0), 1);
  allocator.Drop(shared);
  EXPECT_EQ(allocator.used_pages(0), 1);
  PageTable other = allocator.NewTable();
  EXPECT_FALSE(allocator.Grow(other, 2 * kPagePositions).ok());
  allocator.Drop(shared);
  EXPECT_EQ(allocator.used_pages(0), 0);
  ASSERT_TRUE(allocator.Grow(other, 2 * kPagePositions).ok());
  EXPECT_NE(other.pages[0], other.pages[1]);
  allocator.Release(other);
}

// Four threads fight for fewer pages than they want; every page is marked by
// its holder, so a page held twice is seen by ThreadSanitizer and by the check.
TEST(PageAllocator, ThreadsGrowAndReleaseConcurrently) {
  constexpr int kThreads = 4, kPages = 24;
  PageAllocator allocator({kPages, kPages});
  std::vector<std::vector<int>> holder(2, std::vector<int>(kPages, -1));
  std::vector<int> refusals(kThreads), grown(kThreads), clashes(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 500; ++round) {
        PageTable table = allocator.NewTable();
        for (const int64_t pages : {3, 9, 17}) {
          const bool ok = allocator.Grow(table, pages * kPagePositions).ok();
          ++(ok ? grown : refusals)[t];
        }
        for (const PageRef& page : table.pages) {
          holder[page.node][page.index] = t;
        }
        std::this_thread::yield();
        for (const PageRef& page : table.pages) {
          if (holder[page.node][page.index] != t) ++clashes[t];
        }
        allocator.Release(table);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int t = 0; t < kThreads; ++t) {
    EXPECT_EQ(clashes[t], 0);
    EXPECT_EQ(grown[t] + refusals[t], 1500);
    EXPECT_GT(grown[t], 0);
  }
  EXPECT_EQ(UsedPages(allocator), 0);
}

}  // namespace
}  // namespace mlad
