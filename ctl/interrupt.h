// Ctrl-C ends a call instead of the program.
#pragma once

#include <atomic>
#include <csignal>
#include <thread>

#include "rpc/client.h"

namespace mlad {

/// While it lives, SIGINT and SIGTERM cancel the call; afterwards they end the
/// program again. Make the first one before any other thread exists, so that
/// all of them leave the signals to it.
class InterruptGuard {
 public:
  explicit InterruptGuard(CallCanceller& canceller);
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  sigset_t mask_before_;
  std::atomic<bool> done_ = false;
  std::thread waiter_;
};

}  // namespace mlad
