// What all services share: the phase of the daemon's life, the model once it is
// there, and how many calls are open.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <grpcpp/server_context.h>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "rpc/access_control.h"
#include "rpc/served_model.h"
#include "rpc/unix_peers.h"

namespace mlad {

enum class ServerPhase : uint8_t {
  kLoading,
  kServing,
  kDraining,  // open calls go on, new ones are refused
  kStopping,  // streams that only watch end, too
};

/// Told when the phase changes. Must not block.
class PhaseWatcher {
 public:
  virtual ~PhaseWatcher() = default;
  virtual void OnPhaseChange() = 0;
};

class ServerState;

/// An open call: draining waits for it. Gives access to the model.
class CallTicket {
 public:
  CallTicket() = default;
  CallTicket(CallTicket&& other) noexcept
      : state_(std::exchange(other.state_, nullptr)),
        model_(other.model_),
        pass_(std::move(other.pass_)) {}
  CallTicket& operator=(CallTicket&& other) noexcept;
  CallTicket(const CallTicket&) = delete;
  CallTicket& operator=(const CallTicket&) = delete;
  ~CallTicket() { Release(); }

  ServedModel& model() const { return *model_; }
  const AccessPass& pass() const { return pass_; }
  /// The call is over.
  void Release();

 private:
  friend class ServerState;
  CallTicket(ServerState* state, ServedModel* model, AccessPass pass)
      : state_(state), model_(model), pass_(std::move(pass)) {}

  ServerState* state_ = nullptr;
  ServedModel* model_ = nullptr;
  AccessPass pass_;
};

/// Thread-safe.
class ServerState {
 public:
  /// `max_unix_connections`: at once.
  explicit ServerState(std::string daemon_version,
                       int64_t max_unix_connections);

  AccessControl& access() { return access_; }
  UnixPeers& unix_peers() { return unix_peers_; }
  const std::string& daemon_version() const { return daemon_version_; }
  absl::Duration uptime() const { return absl::Now() - start_; }
  ServerPhase phase() const;
  double load_fraction() const;

  void SetLoadFraction(double fraction);
  void SetModel(ServedModel& model);
  void SetDraining();
  void SetStopping();

  /// Null while loading.
  ServedModel* model_or_null() const;
  /// Errors: kUnavailable while loading.
  absl::StatusOr<ServedModel*> model() const;
  /// Lets an Inference call in. Errors: kUnavailable while loading and when
  /// draining; those of AccessControl::Check.
  absl::StatusOr<CallTicket> Admit(const grpc::ServerContextBase& context);
  /// Whether a call of Admin may be answered. Errors: as above, the latter.
  absl::Status CheckAdmin(const grpc::ServerContextBase& context);
  /// Until no ticket is out or the deadline has passed.
  void WaitForCalls(absl::Time deadline);

  /// `watcher` is told of every change from now on, until RemoveWatcher. Does
  /// not keep it alive.
  void AddWatcher(std::weak_ptr<PhaseWatcher> watcher);
  void RemoveWatcher(const PhaseWatcher* watcher);

 private:
  friend class CallTicket;
  struct Watch {
    const PhaseWatcher* key = nullptr;
    std::weak_ptr<PhaseWatcher> watcher;
  };

  absl::StatusOr<AccessPass> CheckAccess(const grpc::ServerContextBase& context,
                                         Role role);
  void SetPhase(ServerPhase phase);
  void Leave();
  absl::Status LoadingError() const;  // needs mutex_

  const std::string daemon_version_;
  const absl::Time start_ = absl::Now();
  const RealClock clock_;
  AccessControl access_{clock_};
  UnixPeers unix_peers_;
  mutable std::mutex mutex_;
  std::condition_variable call_left_;
  ServerPhase phase_ = ServerPhase::kLoading;
  double load_fraction_ = 0;
  ServedModel* model_ = nullptr;
  int64_t open_calls_ = 0;
  std::vector<Watch> watches_;
};

}  // namespace mlad
