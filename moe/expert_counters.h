// How often the experts of each layer were chosen.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "moe/dispatch.h"

namespace mlad {

/// Counted by one thread, read by any at any time.
class ExpertCounters {
 public:
  ExpertCounters(int64_t layers, int64_t experts)
      : experts_(experts), counts_(layers * experts) {}

  int64_t layers() const {
    return experts_ == 0 ? 0 : static_cast<int64_t>(counts_.size()) / experts_;
  }
  int64_t experts() const { return experts_; }
  /// Tokens that went through the expert since the start.
  int64_t tokens(int64_t layer, int64_t expert) const {
    return counts_[layer * experts_ + expert].load(std::memory_order_relaxed);
  }
  /// The tokens of one step.
  void Add(int64_t layer, const ExpertDispatch& dispatch) {
    for (int64_t e = 0; e < experts_; ++e) {
      std::atomic<int64_t>& count = counts_[layer * experts_ + e];
      count.store(count.load(std::memory_order_relaxed) + dispatch.Count(e),
                  std::memory_order_relaxed);
    }
  }

 private:
  int64_t experts_;
  std::vector<std::atomic<int64_t>> counts_;  // [layers, experts]
};

}  // namespace mlad
