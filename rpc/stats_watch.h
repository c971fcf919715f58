// One WatchStats call: a message at once and after each interval.
#pragma once

#include <memory>
#include <mutex>

#include <grpcpp/alarm.h>
#include <grpcpp/support/byte_buffer.h>

#include "absl/time/time.h"

#include "rpc/server_state.h"
#include "rpc/stream_reactor.h"

namespace mlad {

/// A client that reads slowly misses messages: a new one is sent only when the
/// one before has been written.
class StatsWatch final : public StreamReactor, public PhaseWatcher {
 public:
  /// What the service method returns. `request` is a v1::WatchStatsRequest;
  /// state outlives the call.
  static StreamReactor* Start(ServerState& state,
                              const grpc::ByteBuffer& request);

  StatsWatch(ServerState& state, absl::Duration interval);
  void OnPhaseChange() override;

 private:
  void OnClientGone() override;
  void OnCallDone() override;
  void SendStats();
  void SetAlarm();
  void OnAlarm();
  void Stop(const absl::Status& status);

  ServerState& state_;
  const absl::Duration interval_;
  std::mutex mutex_;
  bool stopped_ = false;
  std::shared_ptr<grpc::Alarm> alarm_;  // the next one; null when stopped
};

}  // namespace mlad
