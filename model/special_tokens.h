// Finds the texts of added and control tokens inside a text.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace mlad {

class SpecialTokens {
 public:
  struct Match {
    size_t position = 0;
    size_t bytes = 0;
    int32_t id = 0;
  };

  /// `text` must not be empty. False, and nothing changes, when it is there.
  bool Add(std::string_view text, int32_t id);

  /// The leftmost match that begins at `from` or later; of those that begin at
  /// the same place, the longest.
  /// Time O(bytes skipped + length of the longest token per byte that could
  /// begin one)
  std::optional<Match> FindFirst(std::string_view text, size_t from) const;

 private:
  static constexpr int32_t kNoToken = -1;

  std::optional<Match> MatchAt(std::string_view text, size_t position) const;

  std::array<bool, 256> begins_{};                 // by first byte
  std::vector<int32_t> token_of_node_{kNoToken};   // of the trie; 0: the root
  absl::flat_hash_map<uint64_t, uint32_t> edges_;  // node << 8 | byte -> node
};

}  // namespace mlad
