#include "engine/engine.h"

#include "absl/strings/str_cat.h"

#include "engine/sequence_pages.h"
#include "engine/step_engine.h"

namespace mlad {

absl::StatusOr<std::unique_ptr<Engine>> Engine::Create(
    LanguageModel& model, const Tokenizer& tokenizer, PageAllocator& pages,
    const Clock& clock, const EngineOptions& options) {
  if (options.context_tokens < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("The context is ", options.context_tokens,
                     " tokens; serve with at least 2."));
  }
  if (options.max_sequences < 1 || options.max_queued < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("The engine was told to run ", options.max_sequences,
                     " sequences and queue ", options.max_queued,
                     "; it needs at least 1 and 0."));
  }
  if (!(options.client_share > 0 && options.client_share <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "The engine was told to let one client have ", options.client_share,
        " of its places; it needs more than 0, at most 1."));
  }
  if (options.max_token_gap <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        "The engine was told to bound the time between tokens by nothing; it "
        "needs more than 0.");
  }
  if (LongestSequence(pages, 2) < 2) {
    return absl::InvalidArgumentError(
        "The latent cache has no page; give it more memory.");
  }
  return std::make_unique<StepEngine>(
      StepEngine::Parts{&model, &tokenizer, &pages, &clock}, options);
}

}  // namespace mlad
