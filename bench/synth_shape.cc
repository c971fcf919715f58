#include "bench/synth_shape.h"

#include "absl/strings/str_cat.h"

namespace mlad {
namespace {

SynthShape Lite() {
  SynthShape s;
  s.name = "synthetic DeepSeek-V2-Lite";
  s.layers = 27;
  s.dense_layers = 1;
  s.hidden = 2048;
  s.heads = 16;
  s.experts = 64;
  s.experts_used = 6;
  s.shared_experts = 2;
  s.expert_ffn = 1408;
  s.ffn = 10944;
  s.vocab = 102400;
  s.mscale_all_dim = 0.707;
  return s;
}

SynthShape V3() {
  SynthShape s;
  s.name = "synthetic DeepSeek-V3";
  s.layers = 61;
  s.dense_layers = 3;
  s.hidden = 7168;
  s.heads = 128;
  s.q_lora = 1536;
  s.experts = 256;
  s.experts_used = 8;
  s.shared_experts = 1;
  s.expert_ffn = 2048;
  s.ffn = 18432;
  s.vocab = 129280;
  s.groups = 8;
  s.groups_used = 4;
  s.sigmoid = true;
  s.weights_scale = 2.5;
  return s;
}

SynthShape V3Mini() {
  SynthShape s = V3();
  s.name = "synthetic DeepSeek-V3 mini";
  s.layers = 4;
  s.dense_layers = 1;
  s.hidden = 1024;
  s.heads = 16;
  s.q_lora = 384;
  s.experts = 32;
  s.experts_used = 4;
  s.expert_ffn = 256;
  s.ffn = 2816;
  s.vocab = 8192;
  s.groups = 4;
  s.groups_used = 2;
  return s;
}

SynthShape KimiK2() {
  SynthShape s = V3();
  s.name = "synthetic Kimi-K2";
  s.dense_layers = 1;
  s.heads = 64;
  s.experts = 384;
  s.vocab = 163840;
  s.context = 131072;
  s.groups = 0;
  s.groups_used = 0;
  s.weights_scale = 2.827;
  s.rope_theta = 50000;
  s.yarn_factor = 32;
  return s;
}

}  // namespace

absl::StatusOr<SynthShape> FindSynthShape(std::string_view preset) {
  if (preset == "lite") return Lite();
  if (preset == "v3mini") return V3Mini();
  if (preset == "v3") return V3();
  if (preset == "kimi-k2") return KimiK2();
  return absl::InvalidArgumentError(
      absl::StrCat("there is no preset '", std::string(preset),
                   "'; use lite, v3mini, v3 or kimi-k2"));
}

}  // namespace mlad
