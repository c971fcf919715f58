#include "model/tokenizer.h"
#include "model/utf8.h"

namespace mlad {

std::string StreamingDetokenizer::Add(int32_t id) {
  if (tokenizer_.IsControl(id)) return {};
  pending_.append(tokenizer_.TokenBytes(id));
  // A character that the next token may complete waits.
  std::string_view rest = pending_;
  while (!rest.empty()) {
    const Utf8Step step = FirstUtf8(rest);
    if (step.kind == Utf8Kind::kIncomplete) break;
    rest.remove_prefix(step.bytes);
  }
  const size_t whole = pending_.size() - rest.size();
  std::string text =
      ReplaceInvalidUtf8(std::string_view(pending_).substr(0, whole));
  pending_.erase(0, whole);
  return text;
}

std::string StreamingDetokenizer::Flush() {
  std::string text = ReplaceInvalidUtf8(pending_);
  pending_.clear();
  return text;
}

}  // namespace mlad
