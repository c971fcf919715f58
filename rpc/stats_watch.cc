#include "rpc/stats_watch.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "rpc/admin_responses.h"
#include "rpc/wire_message.h"

namespace mlad {
namespace {

constexpr int32_t kMinIntervalMs = 100;
constexpr int32_t kMaxIntervalMs = 3'600'000;
constexpr int32_t kDefaultIntervalMs = 1000;

absl::StatusOr<absl::Duration> ReadInterval(const grpc::ByteBuffer& bytes) {
  v1::WatchStatsRequest request;
  MLAD_RETURN_IF_ERROR(ParseMessage(bytes, &request));
  if (!request.has_interval_ms()) return absl::Milliseconds(kDefaultIntervalMs);
  if (request.interval_ms() < kMinIntervalMs ||
      request.interval_ms() > kMaxIntervalMs) {
    return absl::InvalidArgumentError(absl::StrCat(
        "interval_ms is ", request.interval_ms(), "; it must be in [",
        kMinIntervalMs, ", ", kMaxIntervalMs, "]"));
  }
  return absl::Milliseconds(request.interval_ms());
}

}  // namespace

StreamReactor* StatsWatch::Start(ServerState& state,
                                 const grpc::ByteBuffer& request) {
  const absl::StatusOr<absl::Duration> interval = ReadInterval(request);
  if (!interval.ok()) return Refuse(interval.status());
  auto watch = std::make_shared<StatsWatch>(state, *interval);
  state.AddWatcher(watch);
  watch->SendStats();
  watch->SetAlarm();
  watch->OnPhaseChange();  // it may have changed before AddWatcher
  return StartCall(std::move(watch));
}

StatsWatch::StatsWatch(ServerState& state, absl::Duration interval)
    : StreamReactor(Limits{}), state_(state), interval_(interval) {}

void StatsWatch::SendStats() {
  if (AllWritten()) Send(SerializeMessage(MakeStats(state_)));
}

void StatsWatch::SetAlarm() {
  // A new one each time, since an alarm may not be set from its own callback.
  // Set without the lock: it may run other alarms' callbacks.
  const auto alarm = std::make_shared<grpc::Alarm>();
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    alarm_ = alarm;
  }
  auto self = std::static_pointer_cast<StatsWatch>(shared_from_this());
  alarm->Set(absl::ToChronoTime(absl::Now() + interval_),
             [self = std::move(self)](bool expired) {
               if (expired) self->OnAlarm();
             });
}

void StatsWatch::OnAlarm() {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
  }
  SendStats();
  SetAlarm();
}

void StatsWatch::Stop(const absl::Status& status) {
  std::shared_ptr<grpc::Alarm> alarm;  // cancelled by its destructor, unlocked
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    alarm = std::move(alarm_);
  }
  End(status);
}

void StatsWatch::OnPhaseChange() {
  if (state_.phase() != ServerPhase::kStopping) return;
  Stop(absl::UnavailableError("the daemon is shutting down"));
}

void StatsWatch::OnClientGone() {
  Stop(absl::CancelledError("the client cancelled"));
}

void StatsWatch::OnCallDone() { state_.RemoveWatcher(this); }

}  // namespace mlad
