#include "rpc/client_limits.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status.h"

namespace mlad {
namespace {

/// The smaller of two limits, of which 0 is none.
int64_t Stricter(int64_t a, int64_t b) {
  if (a == 0 || b == 0) return std::max(a, b);
  return std::min(a, b);
}

absl::Status TooMuch(absl::string_view what, int64_t value, int64_t limit) {
  return absl::OutOfRangeError(absl::StrCat(
      what, " is ", value, "; this client may have at most ", limit, " here"));
}

absl::Status CheckPriority(const ClientLimits& limits, int priority) {
  if (priority <= limits.max_priority) return absl::OkStatus();
  return TooMuch("the priority", priority, limits.max_priority);
}

absl::Status CheckContext(const ClientLimits& limits, int64_t tokens) {
  if (limits.max_context == 0 || tokens <= limits.max_context) {
    return absl::OkStatus();
  }
  return TooMuch("the number of tokens of text and answer", tokens,
                 limits.max_context);
}

}  // namespace

absl::Status ApplyClientLimits(const AccessPass& pass, int64_t max_tokens,
                               GenerationRequest& request) {
  const ClientLimits& limits = pass.limits();
  request.client = pass.client();
  MLAD_RETURN_IF_ERROR(CheckPriority(limits, request.priority));
  const auto prompt = static_cast<int64_t>(request.prompt.size());
  MLAD_RETURN_IF_ERROR(
      CheckContext(limits, prompt + std::max<int64_t>(request.max_tokens, 1)));
  const int64_t limit = Stricter(limits.max_tokens, max_tokens);
  if (limit > 0 && request.max_tokens > limit) {
    return TooMuch("options.max_tokens", request.max_tokens, limit);
  }
  const int64_t room =
      limits.max_context == 0 ? 0 : limits.max_context - prompt;
  request.token_limit = Stricter(limit, room);
  return absl::OkStatus();
}

absl::Status ApplyClientLimits(const AccessPass& pass, ScoreRequest& request) {
  request.client = pass.client();
  MLAD_RETURN_IF_ERROR(CheckPriority(pass.limits(), request.priority));
  return CheckContext(pass.limits(),
                      static_cast<int64_t>(request.tokens.size()));
}

}  // namespace mlad
