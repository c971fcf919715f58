#include "model/gguf_cursor.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace mlad {

std::string QuotedForMessage(std::string_view text) {
  constexpr size_t kShownBytes = 64;
  const std::string_view shown = text.substr(0, kShownBytes);
  return absl::StrCat(
      "'", absl::CHexEscape(absl::string_view(shown.data(), shown.size())),
      text.size() > kShownBytes ? "...'" : "'");
}

absl::Status GgufTruncatedError(std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(
      "the file ends within ", absl::string_view(what.data(), what.size()),
      "; it is truncated or damaged, download or convert it again"));
}

}  // namespace mlad
