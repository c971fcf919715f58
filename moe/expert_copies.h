// Which nodes hold the experts of a layer, where experts are placed whole.
#pragma once

#include <cstdint>
#include <vector>

namespace mlad {

/// For each expert the set of nodes with a copy of it; empty where experts are
/// sliced, so that every node has a part of each.
class ExpertCopies {
 public:
  ExpertCopies() = default;
  /// Expert e at home on ExpertHome(e, nodes), no replicas.
  static ExpertCopies AtHome(int64_t experts, int nodes);

  bool empty() const { return nodes_.empty(); }
  int64_t experts() const { return static_cast<int64_t>(nodes_.size()); }
  bool Has(int64_t expert, int node) const {
    return (nodes_[expert] >> node & 1) != 0;
  }
  void Add(int64_t expert, int node) { nodes_[expert] |= uint32_t{1} << node; }
  void Remove(int64_t expert, int node) {
    nodes_[expert] &= ~(uint32_t{1} << node);
  }

 private:
  std::vector<uint32_t> nodes_;  // [experts], bit n: node n; kMaxNodes is 32
};

/// Relative cost of an expert's panel: reading it counts like a few tokens'
/// products.
inline int64_t ExpertPanelCost(int64_t tokens) {
  constexpr int64_t kReadingCostInTokens = 4;
  return tokens + kReadingCostInTokens;
}

}  // namespace mlad
