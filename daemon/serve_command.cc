#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include <spdlog/logger.h>
#include <systemd/sd-daemon.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "base/status.h"
#include "daemon/commands.h"
#include "daemon/daemon_model.h"
#include "daemon/log.h"
#include "daemon/model_source.h"
#include "daemon/serve_checks.h"
#include "daemon/termination.h"
#include "kernels/kernels.h"
#include "numa/kernel_settings.h"
#include "rpc/server.h"

namespace mlad {
namespace {

using LoadResult = absl::StatusOr<std::unique_ptr<DaemonModel>>;

/// From a checked configuration to the end of the process.
class ServeRun {
 public:
  explicit ServeRun(const ServeOptions& options)
      : options_(options), log_(MakeLog(options.log_level)) {}

  /// Checks everything that can be checked before anything is loaded, then
  /// listens.
  absl::Status Start() {
    MLAD_ASSIGN_OR_RETURN(ServeInputs inputs,
                          CheckServeOptions(options_, /*header_only=*/false));
    kernels_ = inputs.kernels;
    source_ = std::move(inputs.source);
    MLAD_ASSIGN_OR_RETURN(server_, Server::Start(inputs.server));
    for (const ListenAddress& address : server_->addresses()) {
      log_->info("listening on {}", address.ToString());
    }
    log_->info("loading {} with {} kernels", source_.path,
               std::string(IsaName(kernels_->isa)));
    return absl::OkStatus();
  }

  /// Loads, serves until a signal, drains. The status says why it ended early.
  absl::Status Run() {
    auto loading = std::async(std::launch::async, [this] { return Load(); });
    while (loading.wait_for(std::chrono::milliseconds(0)) !=
           std::future_status::ready) {
      if (WaitForTerminationSignal(absl::Milliseconds(50))) {
        log_->info("stopping while loading");
        cancel_ = true;
        loading.wait();
        server_->Shutdown(absl::Now());
        return absl::OkStatus();
      }
    }
    LoadResult loaded = loading.get();
    source_.file.reset();
    if (!loaded.ok()) {
      server_->Shutdown(absl::Now());
      return loaded.status();
    }
    model_ = *std::move(loaded);
    Announce();
    server_->SetModel(*model_);
    log_->info("serving");
    sd_notify(0, "READY=1\nSTATUS=Serving");
    while (!WaitForTerminationSignal(absl::Seconds(3600))) {
    }
    Stop();
    return absl::OkStatus();
  }

  spdlog::logger& log() { return *log_; }

 private:
  LoadResult Load() {
    DaemonModel::Options options;
    options.serve = options_;
    options.kernels = kernels_;
    options.cancel = &cancel_;
    double reported = 0;
    options.progress = [this, &reported](double fraction) {
      server_->SetLoadFraction(fraction);
      if (fraction < reported + 0.1 && fraction < 1) return;
      reported = fraction;
      log_->info("loaded {:.0f}%", fraction * 100);
      // Loading hundreds of gigabytes outlasts systemd's patience.
      sd_notifyf(0, "EXTEND_TIMEOUT_USEC=120000000\nSTATUS=Loading, %.0f%%",
                 fraction * 100);
    };
    return DaemonModel::Load(source_, options);
  }

  void Announce() {
    for (const std::string& note : model_->topology().notes()) {
      log_->warn("{}", note);
    }
    for (const std::string& warning : KernelWarnings()) {
      log_->warn("{}", warning);
    }
    const PlacementPlan& plan = model_->plan();
    log_->info("{}: {} nodes, {:.1f} MiB of weights, cache for {} tokens",
               model_->facts().name, plan.nodes.size(),
               static_cast<double>(plan.weights_bytes) / (1 << 20),
               plan.context_tokens);
    AnnounceMemory();
  }

  void AnnounceMemory() {
    const Topology& topology = model_->topology();
    for (const NodeRegion* region : model_->memory()) {
      log_->debug("memory at {}, {} bytes, node {}, kernel's node {}: {}",
                  static_cast<void*>(region->data()), region->bytes(),
                  region->node(), topology.nodes()[region->node()].os_index,
                  region->purpose());
    }
    const PlacementReport placement = model_->placement();
    if (topology.real_node_count() > 1) {
      log_->info(
          "asked the kernel for the node of {} of {} pages: {} misplaced",
          placement.pages_checked, placement.region_pages,
          placement.pages_misplaced);
    }
    if (placement.pages_moved > 0) {
      log_->warn(
          "{} pages of memory were on another node than planned; they "
          "have been moved",
          placement.pages_moved);
    }
    if (placement.pages_misplaced > 0) {
      log_->warn(
          "{} pages of memory are on another node than planned and "
          "cannot be moved",
          placement.pages_misplaced);
    }
  }

  void Stop() {
    log_->info("stopping: running requests get {} s", options_.drain_s);
    sd_notify(0, "STOPPING=1\nSTATUS=Draining");
    server_->Shutdown(absl::Now() + absl::Seconds(options_.drain_s));
    log_->info("stopped");
  }

  const ServeOptions& options_;
  std::shared_ptr<spdlog::logger> log_;
  const KernelTable* kernels_ = nullptr;
  ModelSource source_;
  std::atomic<bool> cancel_ = false;
  std::unique_ptr<DaemonModel> model_;  // outlives the server
  std::unique_ptr<Server> server_;
};

}  // namespace

int RunServe(const ServeOptions& options) {
  BlockTerminationSignals();
  ServeRun run(options);
  if (absl::Status status = run.Start(); !status.ok()) {
    return ReportFailure(status);
  }
  if (absl::Status status = run.Run(); !status.ok()) {
    run.log().error("{}", std::string(status.message()));
    return ReportFailure(status);
  }
  return 0;
}

}  // namespace mlad
