#include "engine/waiting_queue.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

#include "base/check.h"

namespace mlad {

void WaitingQueue::Add(SequencePtr sequence) {
  const auto place =
      std::upper_bound(sequences_.begin(), sequences_.end(), sequence,
                       [](const SequencePtr& a, const SequencePtr& b) {
                         return Outranks(*a, *b);
                       });
  sequences_.insert(place, std::move(sequence));
}

int64_t WaitingQueue::Ahead(int priority) const {
  return std::count_if(
      sequences_.begin(), sequences_.end(),
      [&](const SequencePtr& s) { return s->priority() >= priority; });
}

Sequence& WaitingQueue::Next(absl::Span<const SequencePtr> running) const {
  MLAD_CHECK(!sequences_.empty());
  absl::flat_hash_map<absl::string_view, int64_t> running_of;
  for (const SequencePtr& sequence : running) {
    ++running_of[sequence->client()];
  }
  const int priority = sequences_.front()->priority();
  Sequence* next = nullptr;
  int64_t fewest = 0;
  for (const SequencePtr& sequence : sequences_) {
    if (sequence->priority() != priority) break;
    if (sequence->ever_started()) return *sequence;
    const int64_t count = running_of[sequence->client()];
    if (next != nullptr && count >= fewest) continue;
    fewest = count;
    next = sequence.get();
  }
  return *next;
}

WaitingQueue::SequencePtr WaitingQueue::Take(const Sequence& sequence) {
  const auto owner = std::find_if(
      sequences_.begin(), sequences_.end(),
      [&](const SequencePtr& other) { return other.get() == &sequence; });
  SequencePtr taken = std::move(*owner);
  sequences_.erase(owner);
  return taken;
}

}  // namespace mlad
