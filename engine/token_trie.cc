#include "engine/token_trie.h"

#include <algorithm>

namespace mlad {

TokenTrie::TokenTrie(std::vector<Token> tokens) {
  std::sort(tokens.begin(), tokens.end(), [](const Token& a, const Token& b) {
    return a.bytes < b.bytes || (a.bytes == b.bytes && a.id < b.id);
  });
  std::vector<int32_t> path;  // the vertices from the first byte to here
  std::string_view before;
  const auto close = [&](size_t depth) {
    for (; path.size() > depth; path.pop_back()) {
      vertices_[path.back()].subtree_end =
          static_cast<int32_t>(vertices_.size());
    }
  };
  for (const Token& token : tokens) {
    const auto shared = static_cast<size_t>(
        std::mismatch(before.begin(), before.end(), token.bytes.begin(),
                      token.bytes.end())
            .first -
        before.begin());
    close(shared);
    for (size_t i = shared; i < token.bytes.size(); ++i) {
      path.push_back(static_cast<int32_t>(vertices_.size()));
      Vertex& vertex = vertices_.emplace_back();
      vertex.byte = static_cast<uint8_t>(token.bytes[i]);
      vertex.depth = static_cast<int32_t>(i) + 1;
      vertex.tokens_begin = static_cast<int32_t>(ids_.size());
      vertex.tokens_end = vertex.tokens_begin;
    }
    ids_.push_back(token.id);
    vertices_[path.back()].tokens_end = static_cast<int32_t>(ids_.size());
    max_depth_ = std::max(max_depth_, static_cast<int32_t>(path.size()));
    before = token.bytes;
  }
  close(0);
}

}  // namespace mlad
