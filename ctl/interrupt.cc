#include "ctl/interrupt.h"

#include <csignal>
#include <cstdlib>

#include "ctl/exit_status.h"

namespace mlad {
namespace {

sigset_t InterruptSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

InterruptGuard::InterruptGuard(CallCanceller& canceller) {
  const sigset_t set = InterruptSignals();
  pthread_sigmask(SIG_BLOCK, &set, &mask_before_);
  waiter_ = std::thread([this, &canceller] {
    const sigset_t wanted = InterruptSignals();
    bool cancelled = false;
    const timespec tick = {0, 50'000'000};
    while (!done_) {
      if (sigtimedwait(&wanted, nullptr, &tick) <= 0) continue;
      // Who asks twice does not want to wait for the daemon.
      if (cancelled) std::_Exit(kExitInterrupted);
      cancelled = true;
      canceller.Cancel();
    }
  });
}

InterruptGuard::~InterruptGuard() {
  done_ = true;
  waiter_.join();
  pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

}  // namespace mlad
