#include "tests/model/demo_model.h"

#include <fstream>
#include <sstream>

#include "base/check.h"

namespace mlad {

std::string ReadTextFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  MLAD_CHECK(in.good());
  return text.str();
}

nlohmann::json ReadDemoReference() {
  return nlohmann::json::parse(ReadTextFile(kDemoReferencePath));
}

std::vector<DemoPrompt> ReadDemoPrompts(DemoVariant variant) {
  const nlohmann::json reference = ReadDemoReference();
  std::vector<DemoPrompt> prompts;
  for (const auto& entry :
       reference["files"]["tiny-mla-21m-q8_0.gguf"]["prompts"]) {
    const auto& recorded =
        entry[variant == DemoVariant::kGrouped ? "grouped" : "ungrouped"];
    DemoPrompt prompt;
    prompt.text = entry["text"];
    prompt.ids = entry["ids"].get<std::vector<int32_t>>();
    for (const auto& pair : recorded["top20"]) {
      prompt.top_logits.emplace_back(pair[0], pair[1]);
    }
    prompt.logits_rms = recorded["logits_rms"];
    prompt.greedy_ids = recorded["greedy64"].get<std::vector<int32_t>>();
    const auto& close = recorded["first_gap_under_0_01"];
    prompt.first_close_step =
        close.is_null() ? prompt.greedy_ids.size() : close.get<size_t>();
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

}  // namespace mlad
