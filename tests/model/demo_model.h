// The demo model and what is recorded of it in tests/golden/demo.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace mlad {

/// Paths are relative to the top of the tree, where ctest runs the tests.
inline constexpr char kDemoModelPath[] = "deploy/demo/tiny-mla-21m-q8_0.gguf";
inline constexpr char kHeldOutTextPath[] = "tests/golden/demo/heldout.txt";
inline constexpr char kDemoReferencePath[] = "tests/golden/demo/reference.json";

/// Recorded by a plain float32 implementation with an f32 cache.
struct DemoPrompt {
  std::string text;
  std::vector<int32_t> ids;
  std::vector<std::pair<int32_t, float>> top_logits;  // 20, best first
  double logits_rms = 0;
  std::vector<int32_t> greedy_ids;  // 64, or up to EOS
  /// First step whose two best logits are less than 0.01 apart; from there on
  /// rounding decides. greedy_ids.size() when there is none.
  size_t first_close_step = 0;
};

/// What the model computes as its file says, or as if the file did not say that
/// experts are chosen within groups.
enum class DemoVariant : uint8_t { kGrouped, kUngrouped };
std::vector<DemoPrompt> ReadDemoPrompts(DemoVariant variant);
nlohmann::json ReadDemoReference();
std::string ReadTextFile(const std::string& path);

}  // namespace mlad
