#include "engine/event_delivery.h"

#include <utility>

#include <pthread.h>

namespace mlad {

EventDelivery::EventDelivery(const char* name)
    : thread_([this, name] { Run(name); }) {}

EventDelivery::~EventDelivery() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void EventDelivery::Post(std::function<void()> event) {
  {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [this] { return events_.size() < kMaxWaiting; });
    events_.push_back(std::move(event));
  }
  wake_.notify_one();
}

void EventDelivery::Run(const char* name) {
  pthread_setname_np(pthread_self(), name);
  std::vector<std::function<void()>> batch;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return !events_.empty() || stopping_; });
      if (events_.empty()) return;
      std::swap(batch, events_);
    }
    room_.notify_all();
    for (std::function<void()>& event : batch) {
      event();
      event = nullptr;  // an observer's last reference may be in there
    }
    batch.clear();
  }
}

}  // namespace mlad
