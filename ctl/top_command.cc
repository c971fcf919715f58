#include <atomic>
#include <iostream>
#include <mutex>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "base/status.h"
#include "ctl/commands.h"
#include "ctl/exit_status.h"
#include "ctl/full_screen.h"
#include "ctl/session.h"
#include "ctl/terminal.h"
#include "ctl/top_screen.h"

namespace mlad {
namespace {

constexpr int kLookMs = 100;  // for keys and a terminal of another size

/// Draws from two threads: the call's, and its own, which watches keys and the
/// terminal's size.
class TopView {
 public:
  TopView(std::string title, CallCanceller& canceller)
      : screen_(std::move(title)), canceller_(canceller) {
    Draw();
    watcher_ = std::thread([this] { Watch(); });
  }
  ~TopView() {
    done_ = true;
    watcher_.join();
  }
  TopView(const TopView&) = delete;
  TopView& operator=(const TopView&) = delete;

  void Add(const v1::Stats& stats) {
    const std::lock_guard lock(mutex_);
    screen_.Add(stats, absl::Now());
    DrawLocked();
  }

 private:
  void Draw() {
    const std::lock_guard lock(mutex_);
    DrawLocked();
  }
  void DrawLocked() {
    drawn_ = FullScreen::CurrentSize();
    FullScreen::Show(screen_.Draw(drawn_.width, drawn_.height));
  }
  bool HasOtherSize() {
    const std::lock_guard lock(mutex_);
    return FullScreen::CurrentSize() != drawn_;
  }
  void Watch() {
    while (!done_) {
      const char key = FullScreen::WaitForKey(kLookMs);
      if (key == 'q' || key == 'Q') return canceller_.Cancel();
      if (HasOtherSize()) Draw();
    }
  }

  FullScreen terminal_;
  std::mutex mutex_;
  TopScreen screen_;
  FullScreen::Size drawn_;
  CallCanceller& canceller_;
  std::atomic<bool> done_ = false;
  std::thread watcher_;
};

}  // namespace

int RunTop(const CtlOptions& options) {
  if (!IsTerminal(0) || !IsTerminal(1)) {
    std::cerr
        << "mla-ctl: top needs a terminal; use 'mla-ctl stats --watch 1', "
           "with --json for a program.\n";
    return kExitUsage;
  }
  return WithClient(
      options.connection,
      [&](Client& client, const CallOptions& call) -> absl::Status {
        // Before the screen is taken, so that a refusal is read.
        MLAD_RETURN_IF_ERROR(client.GetStats(call).status());
        TopView view(absl::StrCat("mlad at ", options.connection.address),
                     *call.canceller);
        v1::WatchStatsRequest request;
        request.set_interval_ms(static_cast<int32_t>(options.top_s * 1000));
        const absl::Status status = client.WatchStats(
            request,
            [&](const v1::Stats& stats) {
              view.Add(stats);
              return true;
            },
            call);
        // q and Ctrl-C are how it ends.
        return absl::IsCancelled(status) ? absl::OkStatus() : status;
      });
}

}  // namespace mlad
