#include "engine/token_constraint.h"

#include <utility>

namespace mlad {

TokenConstraint::TokenConstraint(std::shared_ptr<GrammarMasks> masks,
                                 EventDelivery& worker)
    : shared_(std::make_shared<Shared>(std::move(masks))), worker_(worker) {
  Post("");
}

absl::StatusOr<TokenConstraint::Allowed> TokenConstraint::Await() {
  std::unique_lock lock(shared_->mutex);
  shared_->changed.wait(lock, [this] { return shared_->ready; });
  return shared_->allowed;
}

void TokenConstraint::Accept(std::string_view bytes) {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->ready = false;
  }
  Post(std::string(bytes));
}

void TokenConstraint::Post(std::string bytes) {
  worker_.Post([shared = shared_, bytes = std::move(bytes)] {
    GrammarMasks& masks = *shared->masks;
    shared->state = masks.Advance(shared->state, bytes);
    absl::StatusOr<Allowed> allowed = Allowed{};
    auto mask = masks.Mask(shared->state);
    if (mask.ok()) {
      allowed = Allowed{*std::move(mask), masks.Accepts(shared->state)};
    } else {
      allowed = mask.status();
    }
    const std::lock_guard lock(shared->mutex);
    shared->allowed = std::move(allowed);
    shared->ready = true;
    shared->changed.notify_one();
  });
}

}  // namespace mlad
