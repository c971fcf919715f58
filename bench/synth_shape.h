// Shapes of published models, for files with random weights.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace mlad {

/// As in the model's Hugging Face config.
struct SynthShape {
  std::string name;
  int64_t layers = 0;
  int64_t dense_layers = 0;
  int64_t hidden = 0;
  int64_t heads = 0;
  int64_t q_lora = 0;  // 0: queries are not compressed
  int64_t kv_lora = 512;
  int64_t nope = 128;
  int64_t rope = 64;
  int64_t v = 128;
  int64_t experts = 0;
  int64_t experts_used = 0;
  int64_t shared_experts = 0;
  int64_t expert_ffn = 0;
  int64_t ffn = 0;  // of the dense layers
  int64_t vocab = 0;
  int64_t context = 163840;
  int64_t groups = 0;  // 0: none
  int64_t groups_used = 0;
  bool sigmoid = false;  // V3's router: bias, normalised weights
  double weights_scale = 1;
  double rope_theta = 10000;
  double yarn_factor = 40;
  double mscale_all_dim = 1;
};

/// "lite" (DeepSeek-V2-Lite), "v3mini" (V3's mechanisms, small), "v3",
/// "kimi-k2". Errors: kInvalidArgument naming the presets.
absl::StatusOr<SynthShape> FindSynthShape(std::string_view preset);

}  // namespace mlad
