// Tokens per second over the last seconds of work.
#pragma once

#include <cstdint>
#include <deque>

#include "absl/time/time.h"

namespace mlad {

/// A window that slides over time spent working: after a pause it still tells
/// how fast the work went.
class RateMeter {
 public:
  explicit RateMeter(absl::Duration window = absl::Seconds(10))
      : window_(window) {}

  /// `work` of time gave `tokens`.
  void Add(int64_t tokens, absl::Duration work);
  /// Tokens per second; 0 before any work.
  double Rate() const;

 private:
  struct Slice {
    int64_t tokens = 0;
    absl::Duration work;
  };

  absl::Duration window_;
  std::deque<Slice> slices_;  // oldest first; about a hundred to a window
  Slice sum_;
};

}  // namespace mlad
