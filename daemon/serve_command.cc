#include <atomic>
#include <cstdlib>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <spdlog/logger.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "base/status.h"
#include "daemon/commands.h"
#include "daemon/daemon_model.h"
#include "daemon/exposure.h"
#include "daemon/file_limit.h"
#include "daemon/log.h"
#include "daemon/metrics_server.h"
#include "daemon/metrics_text.h"
#include "daemon/model_source.h"
#include "daemon/serve_checks.h"
#include "daemon/service_manager.h"
#include "daemon/signals.h"
#include "daemon/version.h"
#include "kernels/kernels.h"
#include "numa/kernel_settings.h"
#include "rpc/server.h"

namespace mlad {
namespace {

using LoadResult = absl::StatusOr<std::unique_ptr<DaemonModel>>;

/// Between two messages to the service manager.
constexpr absl::Duration kStatusInterval = absl::Seconds(1);
/// Ending beyond what running requests get: a terabyte is given back.
constexpr absl::Duration kStopTime = absl::Seconds(60);

/// From a checked configuration to the end of the process.
class ServeRun {
 public:
  ServeRun(const ServeOptions& options, const ReadServeOptions& read_again)
      : options_(options),
        read_again_(read_again),
        log_(MakeLog(options.log_level)) {}

  /// Checks everything that can be checked before anything is loaded, then
  /// listens.
  absl::Status Start() {
    MLAD_ASSIGN_OR_RETURN(ServeInputs inputs,
                          CheckServeOptions(options_, /*header_only=*/false));
    kernels_ = inputs.kernels;
    source_ = std::move(inputs.source);
    WarnOfExpiry(inputs.certificate_expiry);
    MLAD_RETURN_IF_ERROR(Listen(std::move(inputs.server)));
    if (inputs.metrics.has_value()) {
      MLAD_RETURN_IF_ERROR(OfferMetrics(*inputs.metrics));
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
      if (WaitForSignal(absl::Milliseconds(50)) == Signal::kTerminate) {
        log_->info("stopping while loading");
        service_.SayStopping("Stopped while loading", kStopTime);
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
    LogEvent(*log_, "serving", "serving", ModelFields());
    service_.SayServing(ServingStatus());
    ObeySignals();
    Stop();
    return absl::OkStatus();
  }

  spdlog::logger& log() { return *log_; }

 private:
  /// On the addresses of the options, and on sockets that are there already.
  absl::Status Listen(ServerOptions server) {
    for (const PassedDescriptor& passed : service_.sockets()) {
      MLAD_ASSIGN_OR_RETURN(ListenAddress address,
                            AddressOfSocket(passed.descriptor));
      log_->info("listening on {}, passed by the service manager",
                 address.ToString());
      std::erase_if(server.addresses, [&](const ListenAddress& other) {
        return other.ToString() == address.ToString();
      });
      server.sockets.push_back({passed.descriptor, std::move(address)});
    }
    if (!options_.insecure) MLAD_RETURN_IF_ERROR(CheckExposure(server));
    server.on_request = [log = log_](const RequestRecord& record) {
      LogRequest(*log, record);
    };
    server.on_tls_mistake = [log = log_](const absl::Status& mistake) {
      log->error(
          "the certificates that were put in place are not used, the "
          "former ones are: {}",
          std::string(mistake.message()));
    };
    MLAD_ASSIGN_OR_RETURN(server_, Server::Start(server));
    for (const ListenAddress& address : server_->addresses()) {
      log_->info("listening on {}", address.ToString());
    }
    return absl::OkStatus();
  }

  absl::Status OfferMetrics(const ListenAddress& address) {
    MLAD_ASSIGN_OR_RETURN(metrics_, MetricsServer::Start(address, [this] {
                            return MetricsText(server_->stats(),
                                               server_->experts(), kVersion);
                          }));
    log_->info("metrics at http://{}/metrics", metrics_->address().ToString());
    return absl::OkStatus();
  }

  void WarnOfExpiry(absl::Time expiry) {
    const absl::Duration timely = 14 * absl::Hours(24);
    const absl::Duration left = expiry - absl::Now();
    if (left > timely) return;
    log_->warn(
        "the certificate {} {} on {}; put a new pair in its place",
        options_.tls_certificate,
        left > absl::ZeroDuration() ? "expires" : "has expired",
        absl::FormatTime("%Y-%m-%d %H:%M UTC", expiry, absl::UTCTimeZone()));
  }

  /// Until one says stop. Shows the watchdog that the engine gets on.
  void ObeySignals() {
    const absl::Duration patience =
        service_.keep_alive_interval().value_or(absl::Hours(1));
    bool said = false;
    while (true) {
      const Signal signal = WaitForSignal(patience);
      if (signal == Signal::kTerminate) return;
      if (signal == Signal::kReload) Reload();
      const absl::Duration busy = model_->engine().stats().round_time;
      if (service_.IsStuck(busy) && !std::exchange(said, true)) {
        // Before the watchdog ends this process: the journal looks up whose
        // entry it is.
        LogEvent(*log_, "stuck",
                 absl::StrCat("the engine has been at one step for ",
                              absl::FormatDuration(busy),
                              ", longer than the watchdog allows"),
                 {}, spdlog::level::err);
      }
      service_.KeepAlive(busy);
    }
  }

  /// What can change while serving takes effect; a mistake changes nothing.
  void Reload() {
    service_.SayReloading();
    const absl::StatusOr<ServeOptions> fresh = read_again_();
    ReloadAccess();
    if (fresh.ok()) {
      options_.drain_s = fresh->drain_s;
      options_.log_level = fresh->log_level;
      log_->set_level(spdlog::level::from_str(options_.log_level));
      if (*fresh != options_) {
        log_->warn(
            "some settings that have changed take effect at the next start "
            "only; log_level and drain_s do at once");
      }
      LogEvent(*log_, "reloaded", "read the configuration again", {});
    } else {
      log_->error("the configuration stays as it was: {}",
                  std::string(fresh.status().message()));
    }
    service_.SayServing(ServingStatus());
  }

  void ReloadAccess() {
    auto rules = ReadAccess(options_);
    if (rules.ok()) {
      server_->SetAccess(*std::move(rules));
    } else {
      log_->error("who may call stays as it was: {}",
                  std::string(rules.status().message()));
    }
  }

  std::string ServingStatus() const {
    return absl::StrCat("Serving ", model_->facts().name);
  }

  std::vector<LogField> ModelFields() const {
    const PlacementPlan& plan = model_->plan();
    return {{"MLAD_MODEL", model_->facts().name},
            {"MLAD_MODEL_PATH", model_->facts().path},
            {"MLAD_WARM", model_->is_warm() ? "1" : "0"},
            {"MLAD_NODES", absl::StrCat(plan.nodes.size())},
            {"MLAD_WEIGHTS_BYTES", absl::StrCat(plan.weights_bytes)},
            {"MLAD_KV_BYTES", absl::StrCat(plan.kv_bytes_capacity)}};
  }

  LoadResult Load() {
    DaemonModel::Options options;
    options.serve = options_;
    options.kernels = kernels_;
    options.cancel = &cancel_;
    if (options_.keep_memory && service_.is_listening()) {
      options.manager = &service_;
      options.on_stored_memory = [this](const absl::Status& status) {
        LogEvent(
            *log_, "memory_dropped",
            absl::StrCat("loading afresh, the memory of the process before "
                         "is of no use: ",
                         status.message()),
            {}, spdlog::level::warn);
      };
    }
    double logged = 0;
    absl::Time said = absl::InfinitePast();
    options.progress = [this, &logged, &said](double fraction) {
      server_->SetLoadFraction(fraction);
      // Loading hundreds of gigabytes outlasts systemd's patience.
      if (fraction == 1 || absl::Now() > said + kStatusInterval) {
        service_.SayLoading(fraction);
        said = absl::Now();
      }
      if (fraction < logged + 0.1 && fraction < 1) return;
      logged = fraction;
      log_->info("loaded {:.0f}%", fraction * 100);
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
    if (model_->is_warm()) {
      LogEvent(*log_, "memory_taken_over",
               "weights and cache are those of the process before: verified, "
               "not read again",
               {});
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
    LogEvent(
        *log_, "stopping",
        absl::StrCat("stopping: running requests get ", options_.drain_s, " s"),
        {});
    const absl::Duration drain = absl::Seconds(options_.drain_s);
    service_.SayStopping("Letting running requests finish", drain + kStopTime);
    server_->Shutdown(absl::Now() + drain);
    LogEvent(*log_, "stopped", "stopped", {});
  }

  const ServiceManager service_ = ServiceManager::FromEnvironment();
  ServeOptions options_;
  const ReadServeOptions& read_again_;
  std::shared_ptr<spdlog::logger> log_;
  const KernelTable* kernels_ = nullptr;
  ModelSource source_;
  std::atomic<bool> cancel_ = false;
  std::unique_ptr<DaemonModel> model_;  // outlives the server
  std::unique_ptr<Server> server_;
  std::unique_ptr<MetricsServer> metrics_;  // asks the server
};

}  // namespace

int RunServe(const ServeOptions& options, const ReadServeOptions& read_again) {
  BlockSignals();
  RaiseFileLimit();
  // It would tell of every client that is refused, in lines of its own form.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  ServeRun run(options, read_again);
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
