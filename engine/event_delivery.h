// A thread that runs what it is given, in order.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace mlad {

/// Keeps observers off the thread that computes: writing to a stream costs
/// tens of microseconds a token.
class EventDelivery {
 public:
  static constexpr size_t kMaxWaiting = 1 << 14;

  /// `name`: of the thread, up to 15 letters.
  explicit EventDelivery(const char* name = "mlad-delivery");
  /// Runs what was posted before, then stops.
  ~EventDelivery();
  EventDelivery(const EventDelivery&) = delete;
  EventDelivery& operator=(const EventDelivery&) = delete;

  /// Any thread but its own. Does not wait for `event`, but for room where
  /// kMaxWaiting others wait.
  void Post(std::function<void()> event);

 private:
  void Run(const char* name);

  // The standard library's: ThreadSanitizer does not see into a packaged
  // Abseil's.
  std::mutex mutex_;  // of the next four
  std::condition_variable wake_;
  std::condition_variable room_;
  std::vector<std::function<void()>> events_;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace mlad
