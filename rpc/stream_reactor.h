// The server's side of one streaming call: messages queue up here, one write is
// in flight, and the call is finished exactly once.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "absl/status/status.h"

namespace mlad {

/// Send and End may be called from any thread and do not block. A reactor lives
/// as long as the call or anybody else who holds it: create it with
/// std::make_shared and hand it to gRPC with StartCall.
class StreamReactor : public grpc::ServerWriteReactor<grpc::ByteBuffer>,
                      public std::enable_shared_from_this<StreamReactor> {
 public:
  /// Messages of `max_unread_bytes` may wait for the client.
  explicit StreamReactor(int64_t max_unread_bytes)
      : max_unread_bytes_(max_unread_bytes) {}

  /// What a service method returns.
  static StreamReactor* StartCall(std::shared_ptr<StreamReactor> reactor);
  /// A call that ends at once.
  static StreamReactor* Refuse(const absl::Status& status);

 protected:
  enum class MessageKind : uint8_t {
    kKeep,
    kReplaceable,  // a later one takes its place while it waits
  };

  /// False, and the message is dropped, when too much waits already. Dropped
  /// silently after End or when the client is gone.
  bool Send(grpc::ByteBuffer message, MessageKind kind = MessageKind::kKeep);
  /// Ends the call after the messages so far. The first status counts.
  void End(const absl::Status& status);
  /// Sends `message` even if too much waits, then ends the call.
  void SendLastAndEnd(grpc::ByteBuffer message, const absl::Status& status);
  /// Nothing waits and nothing is being written.
  bool AllWritten() const;

  /// The client cancelled, its deadline passed, or it is gone. The call still
  /// needs its End.
  virtual void OnClientGone() {}
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

  const int64_t max_unread_bytes_;
  std::shared_ptr<StreamReactor> self_;  // until OnDone
  mutable std::mutex mutex_;
  std::deque<Message> waiting_;  // the first one may be in flight
  int64_t waiting_bytes_ = 0;
  bool busy_ = false;  // a write, or at last Finish, was started
  bool client_gone_ = false;
  std::optional<absl::Status> end_;
};

}  // namespace mlad
