#include "moe/feed_forward.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/moe/sharded_experts.h"

namespace mlad {
namespace {

// Enough tokens for two tiles of gate and up, should all go to one expert.
constexpr int64_t kTokens = 70;

struct Setting {
  int nodes = 1;
  int workers = 1;
};

/// Some tokens of a step through the stages, as all workers would.
class Step {
 public:
  Step(const KernelTable& kernels, const TestExperts& experts,
       const std::vector<int64_t>& tokens)
      : kernels_(kernels),
        experts_(experts),
        count_(static_cast<int64_t>(tokens.size())),
        dispatch_(kExperts, kChosen, count_),
        input_(count_, kHidden),
        expert_act_(count_ * kChosen, kExpertFfn),
        always_act_(count_, kAlwaysFfn),
        output_(count_ * kHidden) {
    std::vector<int32_t> ids;
    std::vector<float> weights;
    for (int64_t i = 0; i < count_; ++i) {
      const TestToken token = MakeToken(tokens[i]);
      std::copy(token.x.begin(), token.x.end(), input_.view.Row(i));
      input_.view.Quantize(kernels, i, token.x.data());
      std::copy(token.residual.begin(), token.residual.end(),
                &output_[i * kHidden]);
      ids.insert(ids.end(), token.ids.begin(), token.ids.end());
      weights.insert(weights.end(), token.weights.begin(), token.weights.end());
    }
    dispatch_.Build(ids.data(), weights.data(), count_);
  }

  /// Output [tokens, kHidden].
  const std::vector<float>& Run(const Setting& setting) {
    const FeedForwardWeights weights = experts_.Shard(setting.nodes);
    FeedForwardStep step;
    step.kernels = &kernels_;
    step.weights = &weights;
    step.tokens = count_;
    if (!weights.experts.empty()) {
      step.dispatch = &dispatch_;
      step.slots = count_ * kChosen;
    }
    step.input = input_.view;
    step.expert_act = expert_act_.view.f32;
    step.always_act = always_act_.view.f32;
    step.expert_quantized = expert_act_.view;
    step.always_quantized = always_act_.view;
    step.output = output_.data();
    step.traffic = &traffic;
    std::vector<float> scratch(kGateUpScratchFloats);
    step.scratch = scratch.data();
    for (const auto stage : {RunGateUp, RunQuantizeActivations, RunDown}) {
      WorkerContext context;
      context.nodes = setting.nodes;
      context.workers = setting.workers;
      for (context.node = 0; context.node < setting.nodes; ++context.node) {
        for (context.worker = 0; context.worker < setting.workers;
             ++context.worker) {
          // Copies of other nodes hold the same: one buffer serves them all.
          stage(step, context);
        }
      }
    }
    return output_;
  }

  Traffic traffic;

 private:
  const KernelTable& kernels_;
  const TestExperts& experts_;
  int64_t count_;
  ExpertDispatch dispatch_;
  ActivationBuffer input_, expert_act_, always_act_;
  std::vector<float> output_;
};

std::vector<int64_t> AllTokens() {
  std::vector<int64_t> tokens(kTokens);
  for (int64_t t = 0; t < kTokens; ++t) tokens[t] = t;
  return tokens;
}

class FeedForward : public ::testing::TestWithParam<const KernelTable*> {};

TEST_P(FeedForward, EqualsTheDefinition) {
  for (const TensorType type : {TensorType::kF32, TensorType::kBF16,
                                TensorType::kQ8_0, TensorType::kIQ4_NL}) {
    for (const Layer layer :
         {Layer::kRouted, Layer::kRoutedAndShared, Layer::kDense}) {
      SCOPED_TRACE(std::string(GetTensorType(type).name));
      const TestExperts experts(type, layer);
      Step step(*GetParam(), experts, AllTokens());
      const std::vector<float>& out = step.Run({2, 2});
      for (int64_t t = 0; t < kTokens; ++t) {
        const ExactOutput exact = experts.Exact(MakeToken(t));
        for (int64_t r = 0; r < kHidden; ++r) {
          ASSERT_NEAR(out[t * kHidden + r], exact.out[r], exact.bound[r])
              << "token " << t << " row " << r;
        }
      }
    }
  }
}

TEST_P(FeedForward, BitsDoNotDependOnNodesWorkersOrNeighbours) {
  const TestExperts experts(TensorType::kQ8_0, Layer::kRoutedAndShared);
  std::vector<float> alone;
  for (const int64_t token : AllTokens()) {
    Step step(*GetParam(), experts, {token});
    const std::vector<float>& out = step.Run({1, 1});
    alone.insert(alone.end(), out.begin(), out.end());
  }
  for (const int nodes : {1, 2, 4, 8}) {
    for (const int workers : {1, 3, 40}) {
      Step step(*GetParam(), experts, AllTokens());
      EXPECT_EQ(0, std::memcmp(step.Run({nodes, workers}).data(), alone.data(),
                               alone.size() * sizeof(float)))
          << nodes << " nodes of " << workers;
    }
  }
}

TEST_P(FeedForward, ReadsEveryWeightOfABusyExpertOnceFromItsNode) {
  const TestExperts experts(TensorType::kQ8_0, Layer::kRouted);
  Step step(*GetParam(), experts, {3});
  step.Run({2, 1});
  const int64_t gate_up =
      2 * PackedBytes(PackedFormat::kQ8, kExpertFfn, kHidden);
  const int64_t down = PackedBytes(PackedFormat::kQ8, kHidden, kExpertFfn);
  const int64_t gathered = kChosen * kExpertFfn * sizeof(float);
  EXPECT_EQ(step.traffic.local_bytes, kChosen * (gate_up + down) + gathered);
  EXPECT_EQ(step.traffic.remote_bytes, gathered);
}

INSTANTIATE_TEST_SUITE_P(Kernels, FeedForward,
                         ::testing::ValuesIn(SupportedKernels()),
                         [](const auto& table) {
                           return std::string(IsaName(table.param->isa));
                         });

}  // namespace
}  // namespace mlad
