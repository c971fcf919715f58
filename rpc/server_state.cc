#include "rpc/server_state.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/status.h"
#include "rpc/caller.h"

namespace mlad {

CallTicket& CallTicket::operator=(CallTicket&& other) noexcept {
  if (this == &other) return *this;
  Release();
  state_ = std::exchange(other.state_, nullptr);
  model_ = other.model_;
  pass_ = std::move(other.pass_);
  return *this;
}

void CallTicket::Release() {
  pass_.Release();
  if (state_ != nullptr) std::exchange(state_, nullptr)->Leave();
}

ServerState::ServerState(std::string daemon_version,
                         int64_t max_unix_connections)
    : daemon_version_(std::move(daemon_version)),
      unix_peers_(max_unix_connections) {}

ServerPhase ServerState::phase() const {
  const std::lock_guard lock(mutex_);
  return phase_;
}

double ServerState::load_fraction() const {
  const std::lock_guard lock(mutex_);
  return load_fraction_;
}

void ServerState::SetLoadFraction(double fraction) {
  const std::lock_guard lock(mutex_);
  load_fraction_ = std::clamp(fraction, 0.0, 1.0);
}

void ServerState::SetModel(ServedModel& model) {
  {
    const std::lock_guard lock(mutex_);
    MLAD_CHECK(model_ == nullptr);
    model_ = &model;
    load_fraction_ = 1;
  }
  SetPhase(ServerPhase::kServing);
}

void ServerState::SetDraining() { SetPhase(ServerPhase::kDraining); }
void ServerState::SetStopping() { SetPhase(ServerPhase::kStopping); }

void ServerState::SetPhase(ServerPhase phase) {
  std::vector<Watch> watches;
  {
    const std::lock_guard lock(mutex_);
    phase_ = phase;
    watches = watches_;
  }
  for (const Watch& watch : watches) {
    if (const auto watcher = watch.watcher.lock()) watcher->OnPhaseChange();
  }
}

ServedModel* ServerState::model_or_null() const {
  const std::lock_guard lock(mutex_);
  return model_;
}

absl::StatusOr<ServedModel*> ServerState::model() const {
  const std::lock_guard lock(mutex_);
  if (model_ == nullptr) return LoadingError();
  return model_;
}

absl::Status ServerState::LoadingError() const {
  return absl::UnavailableError(absl::StrCat(
      "the model is still loading, ", static_cast<int>(load_fraction_ * 100),
      "% is done; try again"));
}

absl::StatusOr<AccessPass> ServerState::CheckAccess(
    const grpc::ServerContextBase& context, Role role) {
  MLAD_ASSIGN_OR_RETURN(const Caller caller, ReadCaller(context, unix_peers_));
  return access_.Check(caller, role);
}

absl::Status ServerState::CheckAdmin(const grpc::ServerContextBase& context) {
  return CheckAccess(context, Role::kAdmin).status();
}

absl::StatusOr<CallTicket> ServerState::Admit(
    const grpc::ServerContextBase& context) {
  MLAD_ASSIGN_OR_RETURN(AccessPass pass, CheckAccess(context, Role::kInfer));
  const std::lock_guard lock(mutex_);
  if (phase_ == ServerPhase::kLoading) return LoadingError();
  if (phase_ != ServerPhase::kServing) {
    return absl::UnavailableError(
        "the daemon is shutting down and takes no new requests");
  }
  ++open_calls_;
  return CallTicket(this, model_, std::move(pass));
}

void ServerState::Leave() {
  // Under the lock: whoever waits may destroy this as soon as it is let go.
  const std::lock_guard lock(mutex_);
  --open_calls_;
  call_left_.notify_all();
}

void ServerState::WaitForCalls(absl::Time deadline) {
  std::unique_lock lock(mutex_);
  while (open_calls_ > 0) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return;
    // In slices: a deadline may be infinite, which chrono cannot express.
    call_left_.wait_for(
        lock, absl::ToChronoMilliseconds(std::min(left, absl::Seconds(1)) +
                                         absl::Milliseconds(1)));
  }
}

void ServerState::AddWatcher(std::weak_ptr<PhaseWatcher> watcher) {
  const auto alive = watcher.lock();
  MLAD_CHECK(alive != nullptr);
  const std::lock_guard lock(mutex_);
  watches_.push_back({alive.get(), std::move(watcher)});
}

void ServerState::RemoveWatcher(const PhaseWatcher* watcher) {
  const std::lock_guard lock(mutex_);
  std::erase_if(watches_,
                [&](const Watch& watch) { return watch.key == watcher; });
}

}  // namespace mlad
