#include "tests/rpc/fake_served_model.h"

#include <utility>

#include "tests/model/test_vocabulary.h"

#include "base/check.h"
#include "model/gguf_file.h"

namespace mlad {
namespace {

std::unique_ptr<Tokenizer> MakeTokenizer() {
  constexpr int32_t kControl = 3;
  TestVocabulary vocabulary;
  const int32_t bos = vocabulary.AddToken("<｜begin▁of▁sentence｜>", kControl);
  const int32_t eos = vocabulary.AddToken("<｜end▁of▁sentence｜>", kControl);
  vocabulary.AddToken("<｜User｜>", kControl);
  vocabulary.AddToken("<｜Assistant｜>", kControl);
  GgufWriter writer = vocabulary.Writer();
  writer.SetUint32("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(bos));
  writer.SetUint32("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(eos));
  writer.SetBool("tokenizer.ggml.add_bos_token", true);
  const std::vector<std::byte> bytes = writer.Build();
  const auto file = GgufFile::Parse(bytes, {.header_only = true});
  MLAD_CHECK(file.ok());
  auto tokenizer = Tokenizer::Create(**file);
  MLAD_CHECK(tokenizer.ok());
  return *std::move(tokenizer);
}

NodePlan MakeNode(int node) {
  NodePlan plan;
  plan.description.node = node;
  plan.description.os_index = 0;
  plan.description.simulated = true;
  plan.description.cpus = {2 * node, 2 * node + 1};
  plan.description.memory_bytes = 1 << 30;
  plan.description.package = node;
  plan.description.distances = {node == 0 ? 10 : 21, node == 0 ? 21 : 10};
  plan.heads = {.begin = 2 * node, .end = 2 * node + 2};
  plan.weights_bytes = 1000 + node;
  plan.compute_bytes = 10;
  plan.kv_pages = 8;
  plan.kv_bytes_capacity = 800;
  return plan;
}

}  // namespace

FakeServedModel::FakeServedModel(absl::Duration pause)
    : tokenizer_(MakeTokenizer()), engine_(pause) {
  facts_ = {.name = "tiny \xFF",  // a file may say anything
            .path = "/models/tiny.gguf",
            .file_type = "F32",
            .file_bytes = 12345,
            .kv_type = "q8_0",
            .context_tokens = 512,
            .trained_context_tokens = 4096,
            .hidden_size = 64,
            .layers = 3,
            .attention_heads = 4,
            .q_lora_rank = 32,
            .kv_lora_rank = 64,
            .routed_experts = 8,
            .experts_per_token = 2,
            .shared_experts = 1,
            .kv_bytes_per_token = 306};
  plan_.nodes = {MakeNode(0), MakeNode(1)};
  plan_.notes = {"some are simulated"};
  plan_.weights_bytes = 2001;
  plan_.compute_bytes = 20;
  plan_.kv_bytes_capacity = 1600;
  plan_.kv_page_bytes = 100;
  plan_.context_tokens = 512;
  plan_.experts = {MoePlacement::kWhole, 1};
}

std::vector<NodeCounters> FakeServedModel::node_counters() const {
  return {{.local_bytes = 5000,
           .remote_bytes = 50,
           .busy_ns = 300,
           .barrier_ns = 100,
           .misplaced_pages = 0,
           .kv_pages_used = 3},
          {.local_bytes = 6000,
           .remote_bytes = 60,
           .busy_ns = 0,
           .barrier_ns = 0,
           .misplaced_pages = 7,
           .kv_pages_used = 1}};
}

FakeScript FakeServedModel::Say(const std::string& text) {
  FakeScript script;
  for (const char byte : text) {
    script.tokens.push_back({.token = {.id = static_cast<uint8_t>(byte),
                                       .logprob = -0.25f,
                                       .top = {}},
                             .text = std::string(1, byte),
                             .reasoning = {}});
  }
  return script;
}

}  // namespace mlad
