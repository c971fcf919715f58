// A sequence's place in its grammar.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

#include "engine/event_delivery.h"
#include "engine/grammar_masks.h"

namespace mlad {

/// Computes each next mask on the worker, while the step that needs it runs.
/// Used by one thread at a time beside the worker.
class TokenConstraint {
 public:
  struct Allowed {
    std::shared_ptr<const TokenMask> mask;
    bool may_end = false;  // the text is complete as it is
  };

  /// The worker has begun with the first mask when this returns. It may outlive
  /// this object's use of it, not the other way round.
  TokenConstraint(std::shared_ptr<GrammarMasks> masks, EventDelivery& worker);

  /// What the next token may be; waits for the worker if it must.
  absl::StatusOr<Allowed> Await();
  /// The token that was drawn, by its bytes.
  void Accept(std::string_view bytes);

 private:
  /// What the worker writes; it may still do so when the sequence is gone.
  struct Shared {
    explicit Shared(std::shared_ptr<GrammarMasks> the_masks)
        : masks(std::move(the_masks)), state(masks->start()) {}
    const std::shared_ptr<GrammarMasks> masks;
    GrammarMasks::State state;  // the worker's

    std::mutex mutex;  // of the rest
    std::condition_variable changed;
    bool ready = false;
    absl::StatusOr<Allowed> allowed = Allowed{};
  };
  void Post(std::string bytes);

  const std::shared_ptr<Shared> shared_;
  EventDelivery& worker_;
};

}  // namespace mlad
