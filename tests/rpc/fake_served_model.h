// A served model of a fake engine, a real tokenizer with a byte-level
// vocabulary and a plan of two simulated nodes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/rpc/fake_engine.h"

#include "rpc/served_model.h"

namespace mlad {

/// Token ids 0 to 255 are the bytes; then BOS, EOS, User and Assistant.
inline constexpr int32_t kFakeBos = 256;
inline constexpr int32_t kFakeEos = 257;
inline constexpr int32_t kFakeUser = 258;
inline constexpr int32_t kFakeAssistant = 259;
inline constexpr int64_t kFakeVocab = 260;

class FakeServedModel final : public ServedModel {
 public:
  explicit FakeServedModel(absl::Duration pause = absl::Milliseconds(1));

  FakeEngine& engine() override { return engine_; }
  const Tokenizer& tokenizer() const override { return *tokenizer_; }
  std::optional<ChatStyle> chat_style() const override { return chat_style_; }
  const ModelFacts& facts() const override { return facts_; }
  const PlacementPlan& plan() const override { return plan_; }
  std::vector<NodeCounters> node_counters() const override;
  std::vector<ExpertLayerCounters> expert_counters() const override {
    return {{.layer = 1, .tokens = {4, 0, 2}, .replicas = {{2}, {}}}};
  }
  std::string_view isa() const override { return "scalar"; }

  void RemoveChatStyle() { chat_style_.reset(); }
  /// A script that answers `text`, one byte a token.
  static FakeScript Say(const std::string& text);

 private:
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<ChatStyle> chat_style_ = ChatStyle::kV3;
  ModelFacts facts_;
  PlacementPlan plan_;
  FakeEngine engine_;  // last: it stops first
};

}  // namespace mlad
