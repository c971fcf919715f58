// Grouping of a step's (token, choice) pairs by expert.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

#include "moe/expert_copies.h"

namespace mlad {

/// The pairs of one step sorted by expert. A pair's slot is
/// token * experts_per_token + choice: the row of its intermediate activations.
class ExpertDispatch {
 public:
  /// Reserves room: Build() does not allocate.
  ExpertDispatch(int64_t experts, int64_t experts_per_token,
                 int64_t max_tokens);

  /// In  ids, weights [tokens, experts_per_token] of RouteToken
  /// Within an expert the tokens ascend.
  void Build(const int32_t* ids, const float* weights, int64_t tokens);

  /// Chooses which of its nodes computes each expert with tokens in this step:
  /// those with one copy first, then each of the others, ascending, where least
  /// has been given so far. The same on every worker that calls it.
  void AssignNodes(const ExpertCopies& copies, int nodes);
  /// After AssignNodes, for an expert with tokens.
  int NodeOf(int64_t expert) const { return node_of_[expert]; }

  int64_t experts() const { return static_cast<int64_t>(begin_.size()) - 1; }
  int64_t Count(int64_t expert) const {
    return begin_[expert + 1] - begin_[expert];
  }
  /// Of that expert's pairs: slots, tokens and router weights, [Count(expert)].
  const int32_t* Slots(int64_t expert) const { return &slots_[begin_[expert]]; }
  const int32_t* Tokens(int64_t expert) const {
    return &tokens_[begin_[expert]];
  }
  const float* Weights(int64_t expert) const {
    return &weights_[begin_[expert]];
  }

 private:
  int64_t experts_per_token_;
  std::vector<int64_t> begin_;   // [experts + 1]
  std::vector<int64_t> next_;    // [experts], while sorting
  std::vector<int8_t> node_of_;  // [experts]
  std::vector<int32_t> slots_, tokens_;
  std::vector<float> weights_;
};

}  // namespace mlad
