// The server's side of one streaming call: messages queue up here, one write is
// in flight, and the call is finished exactly once.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>

#include <grpcpp/alarm.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace mlad {

/// Send and End may be called from any thread and do not block. A reactor lives
/// as long as the call or anybody else who holds it: create it with
/// std::make_shared and hand it to gRPC with StartCall.
class StreamReactor : public grpc::ServerWriteReactor<grpc::ByteBuffer>,
                      public std::enable_shared_from_this<StreamReactor> {
 public:
  struct Limits {
    /// A client is behind from when more than this waits for it until half of
    /// that or less does.
    int64_t max_unread_bytes = std::numeric_limits<int64_t>::max();
    /// A client that is behind, or has not read the end, and takes nothing for
    /// as long as this (at most twice as long) is stuck.
    absl::Duration reader_timeout = absl::InfiniteDuration();
  };
  explicit StreamReactor(const Limits& limits) : limits_(limits) {}

  /// What a service method returns.
  static StreamReactor* StartCall(std::shared_ptr<StreamReactor> reactor);
  /// A call that ends at once.
  static StreamReactor* Refuse(const absl::Status& status);

 protected:
  enum class MessageKind : uint8_t {
    kKeep,
    kReplaceable,  // a later one takes its place while it waits; dropped for
                   // a client that is behind
  };

  /// Whoever sends is to stop when OnBehind says so: what comes nevertheless is
  /// kept. Dropped after End or when the client is gone.
  void Send(grpc::ByteBuffer message, MessageKind kind = MessageKind::kKeep);
  /// Ends the call after the messages so far. The first status counts.
  void End(const absl::Status& status);
  /// Sends `message`, then ends the call.
  void SendLastAndEnd(grpc::ByteBuffer message, const absl::Status& status);
  /// Nothing waits and nothing is being written.
  bool AllWritten() const;

  /// The client cancelled, its deadline passed, or it is gone. The call still
  /// needs its End. May be called twice.
  virtual void OnClientGone() {}
  /// The client has fallen behind, or is not any more. One call at a time, on
  /// any thread; the last one tells how it is.
  virtual void OnBehind(bool /*behind*/) {}
  /// The client is stuck: the call is to be cancelled. Not after OnCallDone.
  virtual void OnReaderStuck() {}
  /// The call is over; nothing of the server may be used after this.
  virtual void OnCallDone() {}

 private:
  struct Message {
    grpc::ByteBuffer bytes;
    MessageKind kind = MessageKind::kKeep;
  };

  void OnWriteDone(bool ok) final;
  void OnCancel() final { OnClientGone(); }
  void OnDone() final;
  /// Starts the next operation unless one is in flight.
  void Advance();
  /// After a change of waiting_bytes_. With mutex_.
  void UpdateBehind();
  void TellBehind();
  /// Sets the alarm, if there is to be one.
  void WatchReader();
  void OnReaderAlarm();

  const Limits limits_;
  std::shared_ptr<StreamReactor> self_;  // until OnDone
  mutable std::mutex mutex_;
  std::deque<Message> waiting_;  // the first one may be in flight
  int64_t waiting_bytes_ = 0;
  bool behind_ = false;
  int64_t writes_ = 0;                         // done
  std::shared_ptr<grpc::Alarm> reader_alarm_;  // the next one
  int64_t writes_at_alarm_ = 0;                // when it was set
  bool busy_ = false;  // a write, or at last Finish, was started
  bool client_gone_ = false;
  std::optional<absl::Status> end_;
  std::mutex tell_mutex_;  // before mutex_; of what follows
  bool told_behind_ = false;
  std::mutex over_mutex_;  // of what follows: OnDone waits for OnReaderStuck
  bool over_ = false;
};

}  // namespace mlad
