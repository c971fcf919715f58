// The sequences that wait for a place and for pages.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"

#include "engine/sequence.h"

namespace mlad {

/// Ordered by Outranks. Of the highest priority that waits, those go first that
/// have begun already; then the client of whom the fewest sequences run, so
/// that one who sends many requests does not keep others waiting; then the
/// oldest.
class WaitingQueue {
 public:
  using SequencePtr = std::unique_ptr<Sequence>;

  void Add(SequencePtr sequence);
  bool empty() const { return sequences_.empty(); }
  int64_t size() const { return static_cast<int64_t>(sequences_.size()); }
  /// How many would go before a newcomer of this priority, whoever sends it.
  int64_t Ahead(int priority) const;

  /// Who goes next; the queue is not empty.
  Sequence& Next(absl::Span<const SequencePtr> running) const;
  SequencePtr Take(const Sequence& sequence);
  /// To end some of them: whoever moves one out erases its place.
  std::vector<SequencePtr>& sequences() { return sequences_; }

 private:
  std::vector<SequencePtr> sequences_;
};

}  // namespace mlad
