#include "model/special_tokens.h"

#include "base/check.h"

namespace mlad {
namespace {

uint64_t EdgeKey(uint32_t node, char byte) {
  return static_cast<uint64_t>(node) << 8 | static_cast<uint8_t>(byte);
}

}  // namespace

bool SpecialTokens::Add(std::string_view text, int32_t id) {
  MLAD_CHECK(!text.empty());
  begins_[static_cast<uint8_t>(text[0])] = true;
  uint32_t node = 0;
  for (char byte : text) {
    const auto next = static_cast<uint32_t>(token_of_node_.size());
    const auto [edge, added] = edges_.try_emplace(EdgeKey(node, byte), next);
    if (added) token_of_node_.push_back(kNoToken);
    node = edge->second;
  }
  if (token_of_node_[node] != kNoToken) return false;
  token_of_node_[node] = id;
  return true;
}

std::optional<SpecialTokens::Match> SpecialTokens::MatchAt(
    std::string_view text, size_t position) const {
  std::optional<Match> longest;
  uint32_t node = 0;
  for (size_t end = position; end < text.size(); ++end) {
    const auto edge = edges_.find(EdgeKey(node, text[end]));
    if (edge == edges_.end()) break;
    node = edge->second;
    if (token_of_node_[node] != kNoToken) {
      longest = Match{position, end + 1 - position, token_of_node_[node]};
    }
  }
  return longest;
}

std::optional<SpecialTokens::Match> SpecialTokens::FindFirst(
    std::string_view text, size_t from) const {
  for (size_t position = from; position < text.size(); ++position) {
    if (!begins_[static_cast<uint8_t>(text[position])]) continue;
    if (std::optional<Match> match = MatchAt(text, position)) return match;
  }
  return std::nullopt;
}

}  // namespace mlad
