// What `mla-ctl top` shows, as lines of text.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "mlad/v1/admin.pb.h"

namespace mlad {

/// Rates are those between the last two samples.
class TopScreen {
 public:
  /// `title`: what is served and where.
  explicit TopScreen(std::string title) : title_(std::move(title)) {}

  void Add(const v1::Stats& stats, absl::Time at);
  /// At most `height` lines of at most `width` ASCII characters. What matters
  /// most is at the top; 80x24 has room for eight nodes and the history.
  std::vector<std::string> Draw(int width, int height) const;

 private:
  struct Sample {
    v1::Stats stats;
    absl::Time at;
  };
  std::vector<std::string> Summary(int width) const;
  std::vector<std::string> Nodes(int width, int rows) const;
  /// Generated tokens a second over time, newest at the right.
  std::vector<std::string> History(int width, int rows) const;
  /// Of node `index` a second, in the last interval; 0 when it is not known.
  double LocalBytesPerSecond(int index) const;
  double RemoteBytesPerSecond(int index) const;
  double Seconds() const;

  std::string title_;
  std::optional<Sample> previous_;
  std::optional<Sample> latest_;
  std::deque<double> tokens_per_s_;  // the newest at the end
};

}  // namespace mlad
