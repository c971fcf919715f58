#include "rpc/stream_reactor.h"

#include <utility>

#include "absl/time/clock.h"

#include "rpc/status_mapping.h"

namespace mlad {

StreamReactor* StreamReactor::StartCall(
    std::shared_ptr<StreamReactor> reactor) {
  StreamReactor* const call = reactor.get();
  call->self_ = std::move(reactor);
  return call;
}

StreamReactor* StreamReactor::Refuse(const absl::Status& status) {
  auto reactor = std::make_shared<StreamReactor>(Limits{});
  reactor->End(status);
  return StartCall(std::move(reactor));
}

void StreamReactor::Send(grpc::ByteBuffer message, MessageKind kind) {
  const auto bytes = static_cast<int64_t>(message.Length());
  {
    const std::lock_guard lock(mutex_);
    if (client_gone_ || end_.has_value()) return;
    if (kind == MessageKind::kReplaceable) {
      const size_t in_flight = busy_ ? 1 : 0;
      if (waiting_.size() > in_flight &&
          waiting_.back().kind == MessageKind::kReplaceable) {
        waiting_bytes_ -= static_cast<int64_t>(waiting_.back().bytes.Length());
        waiting_.pop_back();
      } else if (behind_) {
        return;
      }
    }
    waiting_bytes_ += bytes;
    waiting_.push_back({std::move(message), kind});
    UpdateBehind();
  }
  Advance();
  TellBehind();
}

void StreamReactor::UpdateBehind() {
  const int64_t most = limits_.max_unread_bytes;
  behind_ = waiting_bytes_ > (behind_ ? most / 2 : most);
}

void StreamReactor::TellBehind() {
  {
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
  WatchReader();
}

void StreamReactor::WatchReader() {
  // Set without the lock: it may run other alarms' callbacks.
  const auto alarm = std::make_shared<grpc::Alarm>();
  {
    const std::lock_guard lock(mutex_);
    const bool lags = !waiting_.empty() && (behind_ || end_.has_value());
    if (!lags || reader_alarm_ != nullptr ||
        limits_.reader_timeout == absl::InfiniteDuration()) {
      return;
    }
    reader_alarm_ = alarm;
    writes_at_alarm_ = writes_;
  }
  alarm->Set(absl::ToChronoTime(absl::Now() + limits_.reader_timeout),
             [self = shared_from_this()](bool expired) {
               if (expired) self->OnReaderAlarm();
             });
}

void StreamReactor::OnReaderAlarm() {
  std::shared_ptr<grpc::Alarm> expired;
  bool stuck = false;
  {
    const std::lock_guard lock(mutex_);
    expired = std::move(reader_alarm_);
    stuck = !waiting_.empty() && writes_ == writes_at_alarm_;
  }
  if (!stuck) {
    WatchReader();
    return;
  }
  const std::lock_guard lock(over_mutex_);
  if (!over_) OnReaderStuck();
}

void StreamReactor::End(const absl::Status& status) {
  {
    const std::lock_guard lock(mutex_);
    if (end_.has_value()) return;
    end_ = status;
  }
  Advance();
  WatchReader();
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
  WatchReader();
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
    ++writes_;
    waiting_bytes_ -= static_cast<int64_t>(waiting_.front().bytes.Length());
    waiting_.pop_front();
    if (!ok) {
      client_gone_ = true;
      waiting_.clear();
      waiting_bytes_ = 0;
    }
    UpdateBehind();
  }
  if (!ok) OnClientGone();
  Advance();
  TellBehind();
}

void StreamReactor::OnDone() {
  {
    const std::lock_guard lock(over_mutex_);
    over_ = true;
  }
  OnCallDone();
  std::shared_ptr<grpc::Alarm> alarm;  // cancelled by its destructor, unlocked
  {
    const std::lock_guard lock(mutex_);
    alarm = std::move(reader_alarm_);
  }
  // May be the last owner: nothing after this line.
  const std::shared_ptr<StreamReactor> last = std::move(self_);
}

}  // namespace mlad
