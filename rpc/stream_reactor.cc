#include "rpc/stream_reactor.h"

#include <utility>

#include "rpc/status_mapping.h"

namespace mlad {

StreamReactor* StreamReactor::StartCall(
    std::shared_ptr<StreamReactor> reactor) {
  StreamReactor* const call = reactor.get();
  call->self_ = std::move(reactor);
  return call;
}

StreamReactor* StreamReactor::Refuse(const absl::Status& status) {
  auto reactor = std::make_shared<StreamReactor>(0);
  reactor->End(status);
  return StartCall(std::move(reactor));
}

void StreamReactor::Send(grpc::ByteBuffer message, MessageKind kind) {
  const auto bytes = static_cast<int64_t>(message.Length());
  {
    const std::lock_guard lock(mutex_);
    if (client_gone_ || end_.has_value()) return;
    const size_t in_flight = busy_ ? 1 : 0;
    if (kind == MessageKind::kReplaceable && waiting_.size() > in_flight &&
        waiting_.back().kind == MessageKind::kReplaceable) {
      waiting_bytes_ -= static_cast<int64_t>(waiting_.back().bytes.Length());
      waiting_.pop_back();
    }
    if (behind_ && kind == MessageKind::kReplaceable) return;
    waiting_bytes_ += bytes;
    waiting_.push_back({std::move(message), kind});
    UpdateBehind();
  }
  Advance();
  TellBehind();
}

void StreamReactor::UpdateBehind() {
  behind_ =
      waiting_bytes_ > (behind_ ? max_unread_bytes_ / 2 : max_unread_bytes_);
}

void StreamReactor::TellBehind() {
  const std::lock_guard telling(tell_mutex_);
  bool behind = false;
  {
    const std::lock_guard lock(mutex_);
    behind = behind_;
  }
  if (behind == told_behind_) return;
  told_behind_ = behind;
  OnBehind(behind);
}

void StreamReactor::End(const absl::Status& status) {
  {
    const std::lock_guard lock(mutex_);
    if (end_.has_value()) return;
    end_ = status;
  }
  Advance();
}

void StreamReactor::SendLastAndEnd(grpc::ByteBuffer message,
                                   const absl::Status& status) {
  {
    const std::lock_guard lock(mutex_);
    if (end_.has_value()) return;
    end_ = status;
    if (!client_gone_) {
      waiting_bytes_ += static_cast<int64_t>(message.Length());
      waiting_.push_back({std::move(message), MessageKind::kKeep});
    }
  }
  Advance();
}

bool StreamReactor::AllWritten() const {
  const std::lock_guard lock(mutex_);
  return waiting_.empty();
}

void StreamReactor::Advance() {
  // gRPC is called without the lock; busy_ keeps other threads out.
  const grpc::ByteBuffer* next = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (busy_) return;
    if (waiting_.empty() && !end_.has_value()) return;
    busy_ = true;
    if (!waiting_.empty()) next = &waiting_.front().bytes;
  }
  if (next != nullptr) {
    StartWrite(next);
  } else {
    Finish(ToGrpcStatus(*end_));  // busy_ for ever: nothing follows
  }
}

void StreamReactor::OnWriteDone(bool ok) {
  {
    const std::lock_guard lock(mutex_);
    busy_ = false;
    waiting_bytes_ -= static_cast<int64_t>(waiting_.front().bytes.Length());
    waiting_.pop_front();
    if (!ok) {
      client_gone_ = true;
      waiting_.clear();
      waiting_bytes_ = 0;
    }
    UpdateBehind();
  }
  Advance();
  TellBehind();
}

void StreamReactor::OnDone() {
  OnCallDone();
  // May be the last owner: nothing after this line.
  const std::shared_ptr<StreamReactor> last = std::move(self_);
}

}  // namespace mlad
