#include "numa/executor.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <time.h>

#include "numa/topology.h"

namespace mlad {
namespace {

std::unique_ptr<Topology> Simulated(int nodes, int threads_per_node) {
  auto topology =
      Topology::Create({.nodes = nodes, .threads_per_node = threads_per_node});
  EXPECT_TRUE(topology.ok()) << topology.status();
  return *std::move(topology);
}

class ExecutorOnNodes : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    topology_ = Simulated(GetParam(), 2);
    auto executor = Executor::Create(*topology_);
    ASSERT_TRUE(executor.ok()) << executor.status();
    executor_ = *std::move(executor);
  }

  std::unique_ptr<Topology> topology_;
  std::unique_ptr<Executor> executor_;
};

TEST_P(ExecutorOnNodes, EveryWorkerRunsEveryStageOnce) {
  const int workers = GetParam() * 2;
  std::vector<std::vector<int>> runs(3, std::vector<int>(workers));
  std::vector<Stage> stages;
  for (int s = 0; s < 3; ++s) {
    stages.push_back({"stage", [&runs, s](const WorkerContext& context) {
                        ++runs[s][context.global_worker];
                      }});
  }
  executor_->SetProgram(std::move(stages));
  for (int i = 0; i < 5; ++i) executor_->RunProgram();
  for (const std::vector<int>& stage : runs) {
    EXPECT_THAT(stage, testing::Each(5));
  }
}

TEST_P(ExecutorOnNodes, ContextNamesNodeAndWorker) {
  const int nodes = GetParam();
  std::vector<WorkerContext> seen(nodes * 2);
  executor_->SetProgram({{"look", [&](const WorkerContext& context) {
                            seen[context.global_worker] = context;
                          }}});
  executor_->RunProgram();
  for (int g = 0; g < nodes * 2; ++g) {
    EXPECT_EQ(seen[g].node, g / 2);
    EXPECT_EQ(seen[g].worker, g % 2);
    EXPECT_EQ(seen[g].nodes, nodes);
    EXPECT_EQ(seen[g].workers, 2);
    EXPECT_EQ(seen[g].global_workers, nodes * 2);
  }
}

TEST_P(ExecutorOnNodes, EveryUnitIsSharedOutOnceOnEachNodeInEveryStage) {
  const int nodes = GetParam();
  for (const int64_t count : {0, 7, 1000}) {
    for (const int64_t least : {1, 5}) {
      std::vector<std::vector<std::atomic<int>>> visits;
      for (int n = 0; n < nodes; ++n) visits.emplace_back(count);
      const auto share = [&](const WorkerContext& context) {
        context.ShareOut(count, least, [&](WorkRange range) {
          EXPECT_LT(range.begin, range.end);
          for (int64_t i = range.begin; i < range.end; ++i) {
            ++visits[context.node][i];
          }
        });
      };
      executor_->SetProgram(
          {{"own", share, SyncScope::kOwnNode}, {"all", share}});
      for (int run = 0; run < 3; ++run) executor_->RunProgram();
      for (const auto& of_node : visits) {
        for (const std::atomic<int>& times : of_node) {
          EXPECT_EQ(times, 6) << count << " by " << least;
        }
      }
    }
  }
}

// A worker that is held up leaves the rest to the other.
TEST_P(ExecutorOnNodes, WhoeverIsFreeTakesMore) {
  std::atomic<int64_t> by_worker[2] = {};
  executor_->SetProgram({{"share", [&](const WorkerContext& context) {
                            context.ShareOut(64, 1, [&](WorkRange range) {
                              if (context.worker == 1) {
                                std::this_thread::sleep_for(
                                    std::chrono::milliseconds(20));
                              }
                              if (context.node == 0)
                                by_worker[context.worker] += range.size();
                            });
                          }}});
  executor_->RunProgram();
  EXPECT_EQ(by_worker[0] + by_worker[1], 64);
  EXPECT_GT(by_worker[0], by_worker[1]);
}

// Plain ints: without the barriers' ordering this fails under ThreadSanitizer,
// and the sums would be wrong.
TEST_P(ExecutorOnNodes, AStageSeesWhatAllWorkersWroteInTheOneBefore) {
  const int workers = GetParam() * 2;
  std::vector<int> values(workers), sums(workers);
  executor_->SetProgram(
      {{"write",
        [&](const WorkerContext& context) { ++values[context.global_worker]; }},
       {"sum", [&](const WorkerContext& context) {
          sums[context.global_worker] =
              std::accumulate(values.begin(), values.end(), 0);
        }}});
  for (int i = 1; i <= 300; ++i) {
    executor_->RunProgram();
    ASSERT_THAT(sums, testing::Each(i * workers));
  }
}

TEST_P(ExecutorOnNodes, SyncAllSeparatesPartsOfAStage) {
  const int workers = GetParam() * 2;
  std::vector<int> values(workers), sums(workers);
  executor_->SetProgram({{"both", [&](const WorkerContext& context) {
                            for (int i = 0; i < 10; ++i) {
                              ++values[context.global_worker];
                              context.SyncAll();
                              sums[context.global_worker] += std::accumulate(
                                  values.begin(), values.end(), 0);
                              context.SyncAll();
                            }
                          }}});
  executor_->RunProgram();
  EXPECT_THAT(sums, testing::Each(workers * 55));  // 1 + 2 + ... + 10
}

// A stage that ends for its node only: the node's workers see what they wrote,
// and all stages stay in step with the ends for all nodes between them.
TEST_P(ExecutorOnNodes, AStageThatEndsForItsNodeOrdersItsWorkers) {
  const int nodes = GetParam();
  std::vector<int> values(nodes * 2), sums(nodes * 2), totals(nodes * 2);
  executor_->SetProgram(
      {{"write",
        [&](const WorkerContext& context) { ++values[context.global_worker]; },
        SyncScope::kOwnNode},
       {"sum",
        [&](const WorkerContext& context) {
          const int first = context.node * 2;
          sums[context.global_worker] = values[first] + values[first + 1];
          context.SyncNode();
          sums[context.global_worker] += values[first];
        },
        SyncScope::kAllNodes},
       {"total", [&](const WorkerContext& context) {
          totals[context.global_worker] =
              std::accumulate(sums.begin(), sums.end(), 0);
        }}});
  for (int i = 1; i <= 300; ++i) {
    executor_->RunProgram();
    ASSERT_THAT(totals, testing::Each(nodes * 2 * 3 * i));
  }
}

TEST_P(ExecutorOnNodes, ManyProgramsReplaceOneAnother) {
  std::atomic<int> total{0};
  int expected = 0;
  for (int length = 0; length < 40; ++length) {
    std::vector<Stage> stages(
        length % 7,
        Stage{"count", [&](const WorkerContext&) { total.fetch_add(1); }});
    executor_->SetProgram(std::move(stages));
    executor_->RunProgram();
    expected += length % 7 * GetParam() * 2;
    ASSERT_EQ(total.load(), expected);
  }
}

TEST_P(ExecutorOnNodes, WorkersStayOnTheirCpu) {
  std::vector<std::set<int>> cpus(GetParam() * 2);
  executor_->SetProgram({{"where", [&](const WorkerContext& context) {
                            cpus[context.global_worker].insert(sched_getcpu());
                          }}});
  for (int i = 0; i < 20; ++i) executor_->RunProgram();
  for (int g = 0; g < GetParam() * 2; ++g) {
    EXPECT_THAT(cpus[g],
                testing::ElementsAre(topology_->nodes()[g / 2].cpus[g % 2]));
  }
}

TEST_P(ExecutorOnNodes, ParallelForDoesEveryItemOnce) {
  for (int node = 0; node < GetParam(); ++node) {
    std::vector<int> done(1000);
    executor_->ParallelFor(node, 1000, [&](int64_t i) { ++done[i]; });
    EXPECT_THAT(done, testing::Each(1));
  }
}

TEST_P(ExecutorOnNodes, StatsCountBusyAndBarrierTimePerNode) {
  executor_->SetProgram({{"sleep", [](const WorkerContext& context) {
                            if (context.node != 0 || context.worker != 0)
                              return;
                            std::this_thread::sleep_for(
                                std::chrono::milliseconds(30));
                          }}});
  const NodeExecutionStats before = executor_->stats(0);
  executor_->RunProgram();
  // Worker 0 of node 0 was in its stage for 30 ms.
  const NodeExecutionStats after = executor_->stats(0);
  EXPECT_GE(after.busy_ns - before.busy_ns, 29'000'000);
  EXPECT_GE(after.barrier_ns, before.barrier_ns);
}

// Workers of many simulated nodes on few CPUs: each program has 20 barriers,
// and a lost wake-up would hang it.
TEST_P(ExecutorOnNodes, ManyStepsWithPausesBetweenThem) {
  std::vector<int> counts(GetParam() * 2);
  executor_->SetProgram(
      std::vector<Stage>(20, Stage{"count", [&](const WorkerContext& context) {
                                     ++counts[context.global_worker];
                                   }}));
  for (int step = 0; step < 50; ++step) {
    // Shorter than the spinning, about as long, and longer.
    std::this_thread::sleep_for(std::chrono::microseconds(step % 5 * 100));
    executor_->RunProgram();
  }
  EXPECT_THAT(counts, testing::Each(1000));
}

TEST_P(ExecutorOnNodes, AnIdleExecutorUsesNoCpu) {
  executor_->SetProgram({{"nothing", [](const WorkerContext&) {}}});
  executor_->RunProgram();
  // Past the spinning, even when other programs hold the CPUs.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const auto cpu_ns = [] {
    timespec used = {};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return used.tv_sec * int64_t{1'000'000'000} + used.tv_nsec;
  };
  const int64_t before = cpu_ns();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  // A single worker that spins would use up to 100 ms.
  EXPECT_LT(cpu_ns() - before, 10'000'000);
}

TEST_P(ExecutorOnNodes, NodesLoadAtTheSameTime) {
  const int nodes = GetParam();
  std::vector<std::vector<int>> done(nodes, std::vector<int>(200));
  std::vector<std::thread> loaders;
  for (int n = 0; n < nodes; ++n) {
    loaders.emplace_back([&, n] {
      executor_->ParallelFor(n, 200, [&, n](int64_t i) { ++done[n][i]; });
    });
  }
  for (std::thread& loader : loaders) loader.join();
  for (const std::vector<int>& node : done) {
    EXPECT_THAT(node, testing::Each(1));
  }
}

INSTANTIATE_TEST_SUITE_P(Nodes, ExecutorOnNodes, testing::Values(1, 2, 4, 8));

TEST(Executor, StepsMayComeFromDifferentThreads) {
  const auto topology = Simulated(2, 1);
  auto executor = *Executor::Create(*topology);
  int runs = 0;
  executor->SetProgram({{"count", [&](const WorkerContext& context) {
                           if (context.global_worker == 0) ++runs;
                         }}});
  executor->RunProgram();
  std::thread([&] { executor->RunProgram(); }).join();
  executor->RunProgram();
  EXPECT_EQ(runs, 3);
}

TEST(SplitEvenly, PartsAreInOrderAndDifferByOneAtMost) {
  for (int64_t count : {0, 1, 7, 16, 100}) {
    for (int parts : {1, 2, 3, 16, 31}) {
      int64_t next = 0;
      for (int i = 0; i < parts; ++i) {
        const WorkRange range = SplitEvenly(count, parts, i);
        EXPECT_EQ(range.begin, next);
        EXPECT_GE(range.size(), count / parts);
        EXPECT_LE(range.size(), count / parts + 1);
        next = range.end;
      }
      EXPECT_EQ(next, count);
    }
  }
}

TEST(Executor, SyncAllOutsideAnExecutorReturns) {
  WorkerContext alone;
  alone.SyncAll();
}

TEST(Executor, PlanningTopologiesCannotRun) {
  const auto topology =
      *Topology::Create({.source = "pack:2 [numa] core:2 pu:1"});
  const auto executor = Executor::Create(*topology);
  EXPECT_EQ(executor.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(executor.status().message()),
              testing::HasSubstr("--topology"));
}

}  // namespace
}  // namespace mlad
