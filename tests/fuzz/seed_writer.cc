// fuzz_seed_writer TARGET FOLDER: writes the seeds of a fuzz target.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/model/tiny_model.h"

#include "model/gguf_writer.h"

namespace mlad {
namespace {

using Bytes = std::vector<std::byte>;

/// The smallest model of its kind; the vocabulary would be most of the file.
GgufWriter SmallModel(TinyModelOptions options) {
  options.layers = 2;
  GgufWriter writer = TinyModel(options);
  for (const char* list : {"tokens", "token_type", "merges"}) {
    writer.Remove(std::string("tokenizer.ggml.") + list);
  }
  return writer;
}

/// Every metadata type, and tensors with their data.
GgufWriter EveryType() {
  GgufWriter writer;
  const auto typed = [](GgufTypeId type) { return GgufBytes().Type(type); };
  writer.SetUint32("general.alignment", 32);
  writer.AddRaw("u8", typed(GgufTypeId::kUint8).U8(1));
  writer.AddRaw("i8", typed(GgufTypeId::kInt8).U8(255));
  writer.SetUint16("split.count", 1);
  writer.AddRaw("i16", typed(GgufTypeId::kInt16).U16(1));
  writer.SetInt32("i32", -1);
  writer.SetFloat32("f32", 1);
  writer.SetBool("bool", true);
  writer.SetString("text", "text");
  writer.AddRaw("u64", typed(GgufTypeId::kUint64).U64(1));
  writer.AddRaw("i64", typed(GgufTypeId::kInt64).U64(1));
  writer.AddRaw("f64", typed(GgufTypeId::kFloat64).F64(1));
  writer.SetStrings("texts", {"a", "bc"});
  writer.SetInt32s("i32s", {1, 2});
  writer.AddTensor("f32", TensorType::kF32, {2, 2}, Bytes(16));
  writer.AddTensor("q8_0", TensorType::kQ8_0, {32, 1, 2}, Bytes(68));
  return writer;
}

std::vector<Bytes> GgufSeeds() {
  TinyModelOptions split, lite;
  split.split_kv_b = true;
  split.groups = 4;
  split.groups_used = 2;
  split.yarn_factor = 4;
  split.nextn_layers = 1;
  lite.q_lora = 0;
  lite.gating = -1;
  lite.router_bias = false;
  lite.tied_output = true;
  return {EveryType().Build(), SmallModel({}).BuildHeader(),
          SmallModel(split).BuildHeader(), SmallModel(lite).BuildHeader()};
}

std::vector<Bytes> TokenizerSeeds() {
  TinyModelOptions options;
  options.vocab = 300;
  std::vector<Bytes> seeds;
  for (const char* pre : {"deepseek-llm", "deepseek-coder", "deepseek-v3"}) {
    GgufWriter writer = TinyModel(options);
    writer.tensors.clear();
    writer.SetString("tokenizer.ggml.pre", pre);
    const Bytes gguf = writer.BuildHeader();
    for (const std::string_view text :
         {"The tree\n\n  is 12345 feet, isn't it?",
          "<｜User｜>\xE4\xBD\xA0\xE5\xA5\xBD \xF0\x9F\x98\x80 "
          "e\xCC\x81\xFF\r\n"}) {
      GgufBytes seed;
      seed.U16(static_cast<uint16_t>(text.size()));
      seed.Append(text.data(), text.size()).Append(gguf.data(), gguf.size());
      seeds.push_back(seed.bytes());
    }
  }
  return seeds;
}

/// The first byte says what the rest is: see grammar_fuzz.cc.
std::vector<Bytes> GrammarSeeds() {
  const std::string_view texts[] = {
      "g"
      R"(root ::= list # of words
list ::= [a-zé]+ ("," [^,\n]{1,3})* | "\x41\u00e9" (. | "")?)",
      "s"
      R"({"type":"object","properties":{"a":{"type":"string",
"minLength":1,"maxLength":4},"b":{"type":"integer","minimum":-5,"maximum":120},
"c":{"type":"array","items":{"$ref":"#/$defs/d"},"minItems":1}},
"required":["a"],"additionalProperties":{"type":"number","minimum":0},
"$defs":{"d":{"anyOf":[{"const":1},{"enum":["x",null]}]}}})",
      "s"
      R"({"prefixItems":[true,{"type":["boolean","null"]}],"items":false})"};
  std::vector<Bytes> seeds;
  for (const std::string_view text : texts) {
    seeds.push_back(GgufBytes().Append(text.data(), text.size()).bytes());
  }
  return seeds;
}

int Write(std::string_view target, const std::filesystem::path& folder) {
  std::vector<Bytes> seeds;
  if (target == "gguf_fuzz") seeds = GgufSeeds();
  if (target == "tokenizer_fuzz") seeds = TokenizerSeeds();
  if (target == "grammar_fuzz") seeds = GrammarSeeds();
  for (size_t i = 0; i < seeds.size(); ++i) {
    std::ofstream out(folder / ("seed" + std::to_string(i)), std::ios::binary);
    out.write(reinterpret_cast<const char*>(seeds[i].data()),
              static_cast<std::streamsize>(seeds[i].size()));
    if (!out.flush()) {
      std::fprintf(stderr, "cannot write to %s\n", folder.c_str());
      return 1;
    }
  }
  return seeds.empty() ? 2 : 0;
}

}  // namespace
}  // namespace mlad

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: fuzz_seed_writer TARGET FOLDER\n");
    return 2;
  }
  return mlad::Write(argv[1], argv[2]);
}
