// The tokens of a vocabulary by their bytes.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/types/span.h"

namespace mlad {

/// A tree whose paths spell tokens, laid out in the order in which a walk meets
/// its vertices: what a text cannot begin with is skipped with one jump.
class TokenTrie {
 public:
  struct Token {
    std::string_view bytes;  // not empty
    int32_t id = 0;
  };
  struct Vertex {
    uint8_t byte = 0;
    int32_t depth = 0;         // 1 for the first byte of a token
    int32_t subtree_end = 0;   // the first vertex that is not below this one
    int32_t tokens_begin = 0;  // into ids(): tokens that end here
    int32_t tokens_end = 0;
  };

  explicit TokenTrie(std::vector<Token> tokens);

  absl::Span<const Vertex> vertices() const { return vertices_; }
  absl::Span<const int32_t> ids() const { return ids_; }
  int32_t max_depth() const { return max_depth_; }

 private:
  std::vector<Vertex> vertices_;
  std::vector<int32_t> ids_;
  int32_t max_depth_ = 0;
};

}  // namespace mlad
