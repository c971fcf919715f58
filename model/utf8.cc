#include "model/utf8.h"

#include "base/check.h"

namespace mlad {
namespace {

/// What may follow a lead byte: how many bytes, and the range of the first.
struct LeadByte {
  size_t length = 0;  // 0: no character begins like this
  uint8_t second_min = 0x80;
  uint8_t second_max = 0xBF;
};

LeadByte Classify(uint8_t lead) {
  if (lead < 0x80) return {1};
  if (lead < 0xC2) return {0};
  if (lead < 0xE0) return {2};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};  // not overlong
  if (lead == 0xED) return {3, 0x80, 0x9F};  // no surrogates
  if (lead < 0xF0) return {3};
  if (lead == 0xF0) return {4, 0x90, 0xBF};  // not overlong
  if (lead < 0xF4) return {4};
  if (lead == 0xF4) return {4, 0x80, 0x8F};  // up to U+10FFFF
  return {0};
}

}  // namespace

Utf8Step FirstUtf8(std::string_view text) {
  MLAD_DCHECK(!text.empty());
  const LeadByte lead = Classify(static_cast<uint8_t>(text[0]));
  if (lead.length == 0) return {Utf8Kind::kInvalid, 1};
  for (size_t i = 1; i < lead.length; ++i) {
    if (i == text.size()) return {Utf8Kind::kIncomplete, i};
    const auto byte = static_cast<uint8_t>(text[i]);
    const uint8_t min = i == 1 ? lead.second_min : 0x80;
    const uint8_t max = i == 1 ? lead.second_max : 0xBF;
    if (byte < min || byte > max) return {Utf8Kind::kInvalid, i};
  }
  return {Utf8Kind::kCharacter, lead.length};
}

std::string ReplaceInvalidUtf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const Utf8Step step = FirstUtf8(text);
    if (step.kind == Utf8Kind::kCharacter) {
      result.append(text.substr(0, step.bytes));
    } else {
      result.append(kReplacementCharacter);
    }
    text.remove_prefix(step.bytes);
  }
  return result;
}

}  // namespace mlad
