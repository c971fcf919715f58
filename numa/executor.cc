#include "numa/executor.h"

#include <atomic>
#include <latch>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include <pthread.h>
#include <tbb/global_control.h>

#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/status.h"
#include "numa/barrier.h"
#include "numa/node_arena.h"
#include "numa/stage_graph.h"
#include "numa/thread_binding.h"
#include "numa/tick_clock.h"
#include "numa/wait_counter.h"

namespace mlad {
namespace {

/// What the workers do when they are woken.
enum class Command { kRunProgram, kBuildGraphs, kStop };

/// One node's workers. The leader is worker 0; on node 0 it is the thread that
/// calls RunProgram.
struct Team {
  std::vector<int> cpus;  // [workers]
  int first_global_worker = 0;
  WaitCounter leader_start;   // wakes the leader ...
  WaitCounter workers_start;  // ... who wakes the others
  StageGraph graph;           // the leader's
  std::unique_ptr<NodeArena> arena;

  int workers() const { return static_cast<int>(cpus.size()); }
};

/// Fewer CPUs than workers: whoever waits must let the others run.
bool SharesCpus(const Topology& topology) {
  std::set<int> cpus;
  size_t workers = 0;
  for (const NodeDescription& node : topology.nodes()) {
    cpus.insert(node.cpus.begin(), node.cpus.end());
    workers += node.cpus.size();
  }
  return cpus.size() < workers;
}

std::vector<std::vector<int>> L3GroupsOf(const Topology& topology) {
  std::vector<std::vector<int>> groups;
  for (const NodeDescription& node : topology.nodes()) {
    groups.push_back(node.l3_groups);
  }
  return groups;
}

class TeamExecutor final : public Executor {
 public:
  explicit TeamExecutor(const Topology& topology);
  ~TeamExecutor() override;

  absl::Status Start();

  int nodes() const override { return static_cast<int>(teams_.size()); }
  int workers(int node) const override { return teams_[node]->workers(); }
  void SetProgram(std::vector<Stage> stages) override;
  void RunProgram() override;
  void ParallelFor(int node, int64_t count,
                   absl::FunctionRef<void(int64_t)> body) override {
    teams_[node]->arena->ParallelFor(count, body);
  }
  NodeExecutionStats stats(int node) const override;

 private:
  WorkerContext ContextOf(int node, int worker);
  void StartThreads();
  void ThreadMain(int node, int worker);
  void Give(Command command);
  void Obey(Command command, const WorkerContext& context);
  void RunStage(int stage, const WorkerContext& context);

  hwloc_topology* const topology_;
  const WaitPolicy policy_;
  TickClock clock_;
  Barrier everyone_;
  int global_workers_ = 0;
  std::vector<std::unique_ptr<Team>> teams_;  // [nodes]
  std::unique_ptr<tbb::global_control> parallelism_;
  std::vector<absl::Status> bind_results_;  // [global workers]
  std::unique_ptr<std::latch> bound_;
  std::vector<std::thread> threads_;

  // Written before workers are woken, read after; they arrive at a barrier
  // before it is written again.
  std::vector<Stage> program_;
  Command command_ = Command::kStop;
  uint32_t round_ = 0;
};

TeamExecutor::TeamExecutor(const Topology& topology)
    : topology_(topology.handle()),
      policy_{.cpu_is_shared = SharesCpus(topology)},
      everyone_(L3GroupsOf(topology), policy_, clock_) {
  for (const NodeDescription& node : topology.nodes()) {
    auto team = std::make_unique<Team>();
    team->cpus = node.cpus;
    team->first_global_worker = global_workers_;
    global_workers_ += team->workers();
    teams_.push_back(std::move(team));
  }
  // TBB would share as many threads as the machine has CPUs, less one, among
  // all arenas; each node needs its own.
  parallelism_ = std::make_unique<tbb::global_control>(
      tbb::global_control::max_allowed_parallelism, global_workers_ + 1);
  for (auto& team : teams_) {
    team->arena = std::make_unique<NodeArena>(topology_, team->cpus);
  }
}

TeamExecutor::~TeamExecutor() {
  Give(Command::kStop);
  for (std::thread& thread : threads_) thread.join();
  UnbindThisThread(topology_);
}

WorkerContext TeamExecutor::ContextOf(int node, int worker) {
  const Team& team = *teams_[node];
  WorkerContext context;
  context.node = node;
  context.nodes = nodes();
  context.worker = worker;
  context.workers = team.workers();
  context.global_worker = team.first_global_worker + worker;
  context.global_workers = global_workers_;
  context.everyone = &everyone_;
  return context;
}

absl::Status TeamExecutor::Start() {
  bind_results_.resize(global_workers_);
  bound_ = std::make_unique<std::latch>(global_workers_ - 1);
  try {
    StartThreads();
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "cannot start ", global_workers_, " worker threads: ", error.what(),
        "; raise the limit on processes (ulimit -u, TasksMax) or lower "
        "--threads-per-node"));
  }
  bind_results_[0] = BindThisThread(topology_, {teams_[0]->cpus[0]});
  UnbindThisThread(topology_);
  bound_->wait();
  clock_.Calibrate();
  for (absl::Status& result : bind_results_) {
    if (!result.ok()) return std::move(result);
  }
  return absl::OkStatus();
}

void TeamExecutor::StartThreads() {
  for (int node = 0; node < nodes(); ++node) {
    const Team& team = *teams_[node];
    for (int worker = node == 0 ? 1 : 0; worker < team.workers(); ++worker) {
      threads_.emplace_back([this, &team, node, worker] {
        bind_results_[team.first_global_worker + worker] =
            BindThisThread(topology_, {team.cpus[worker]});
        bound_->count_down();
        ThreadMain(node, worker);
      });
    }
  }
}

void TeamExecutor::ThreadMain(int node, int worker) {
  pthread_setname_np(pthread_self(),
                     absl::StrCat("mlad/", node, "/", worker).c_str());
  const WorkerContext context = ContextOf(node, worker);
  Team& team = *teams_[node];
  WaitCounter& start = worker == 0 ? team.leader_start : team.workers_start;
  for (uint32_t round = 0;; ++round) {
    start.Wait(round, policy_);
    const Command command = command_;
    if (worker == 0) team.workers_start.Publish(round + 1);
    Obey(command, context);
    if (command == Command::kStop) return;
  }
}

void TeamExecutor::Give(Command command) {
  command_ = command;
  ++round_;
  for (int n = 1; n < nodes(); ++n) teams_[n]->leader_start.Publish(round_);
  teams_[0]->workers_start.Publish(round_);
}

void TeamExecutor::Obey(Command command, const WorkerContext& context) {
  Team& team = *teams_[context.node];
  everyone_.Begin(context.global_worker);
  if (command == Command::kBuildGraphs) {
    if (context.worker == 0) {
      team.graph.Build(
          static_cast<int>(program_.size()),
          [this, context](int stage) { RunStage(stage, context); });
    }
    context.SyncAll();
  } else if (command == Command::kRunProgram) {
    if (context.worker == 0) {
      team.graph.Run();
    } else {
      // After its last barrier the program may be replaced: no look at it.
      const int stages = static_cast<int>(program_.size());
      for (int stage = 0; stage < stages; ++stage) RunStage(stage, context);
    }
  }
}

void TeamExecutor::RunStage(int stage, const WorkerContext& context) {
  program_[stage].body(context);
  if (program_[stage].end == SyncScope::kOwnNode) {
    context.SyncNode();
  } else {
    context.SyncAll();
  }
}

void TeamExecutor::SetProgram(std::vector<Stage> stages) {
  MLAD_CHECK(stages.empty() || stages.back().end == SyncScope::kAllNodes);
  program_ = std::move(stages);
  Give(Command::kBuildGraphs);
  Obey(Command::kBuildGraphs, ContextOf(0, 0));
}

void TeamExecutor::RunProgram() {
  if (program_.empty()) return;
  BindThisThread(topology_, {teams_[0]->cpus[0]}).IgnoreError();
  Give(Command::kRunProgram);
  Obey(Command::kRunProgram, ContextOf(0, 0));
}

NodeExecutionStats TeamExecutor::stats(int node) const {
  const Team& team = *teams_[node];
  NodeExecutionStats stats;
  for (int w = 0; w < team.workers(); ++w) {
    const int worker = team.first_global_worker + w;
    stats.busy_ns += everyone_.busy_ns(worker);
    stats.barrier_ns += everyone_.waited_ns(worker);
  }
  return stats;
}

}  // namespace

void WorkerContext::SyncAll() const {
  if (everyone != nullptr) everyone->ArriveAndWait(node, global_worker);
}

void WorkerContext::SyncNode() const {
  if (everyone != nullptr) everyone->ArriveAndWaitOnNode(node, global_worker);
}

int64_t WorkerContext::TakePiece() const { return everyone->TakePiece(node); }

absl::StatusOr<std::unique_ptr<Executor>> Executor::Create(
    const Topology& topology) {
  if (!topology.is_this_machine()) {
    return absl::FailedPreconditionError(
        "a topology from a file or a synthetic string can be planned but not "
        "run on; leave --topology out (and HWLOC_XMLFILE and HWLOC_SYNTHETIC "
        "unset)");
  }
  auto executor = std::make_unique<TeamExecutor>(topology);
  MLAD_RETURN_IF_ERROR(executor->Start());
  return executor;
}

}  // namespace mlad
