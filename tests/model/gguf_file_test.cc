// What a good file gives. Bad ones: gguf_malformed_test.cc.
#include "model/gguf_file.h"

#include <chrono>
#include <fstream>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/model/test_file.h"
#include "tests/model/tiny_model.h"

#include "model/gguf_writer.h"

namespace mlad {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::unique_ptr<GgufFile> MustParse(const std::vector<std::byte>& bytes,
                                    bool header_only = false) {
  auto file = GgufFile::Parse(bytes, {.header_only = header_only});
  EXPECT_TRUE(file.ok()) << file.status();
  return file.ok() ? *std::move(file) : nullptr;
}

GgufBytes Typed(GgufTypeId type) { return GgufBytes().Type(type); }

/// The elements of an array of T, empty when it holds another type.
template <typename T>
std::vector<T> Elements(const GgufFile& file, std::string_view key) {
  const GgufValue* value = file.FindValue(key);
  const GgufArray* array =
      value == nullptr ? nullptr : std::get_if<GgufArray>(value);
  const auto* elements =
      array == nullptr ? nullptr : std::get_if<std::vector<T>>(&array->values);
  return elements == nullptr ? std::vector<T>() : *elements;
}

TEST(GgufFile, WidensEveryScalarType) {
  GgufWriter writer;
  writer.AddRaw("u8", Typed(GgufTypeId::kUint8).U8(200));
  writer.AddRaw("i8", Typed(GgufTypeId::kInt8).U8(0xFE));
  writer.AddRaw("u16", Typed(GgufTypeId::kUint16).U16(60000));
  writer.AddRaw("i16", Typed(GgufTypeId::kInt16).U16(0xFFFD));
  writer.AddRaw("u32", Typed(GgufTypeId::kUint32).U32(4000000000u));
  writer.AddRaw("i32", Typed(GgufTypeId::kInt32).I32(-4));
  writer.AddRaw("u64", Typed(GgufTypeId::kUint64).U64(uint64_t{1} << 40));
  writer.AddRaw("i64", Typed(GgufTypeId::kInt64).U64(~uint64_t{4}));
  writer.AddRaw("f32", Typed(GgufTypeId::kFloat32).F32(1.5f));
  writer.AddRaw("f64", Typed(GgufTypeId::kFloat64).F64(0.1));
  writer.AddRaw("yes", Typed(GgufTypeId::kBool).U8(1));
  writer.AddRaw("no", Typed(GgufTypeId::kBool).U8(0));
  writer.SetString("text", "caf\xC3\xA9");
  const auto file = MustParse(writer.Build());
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(*file->GetInt("u8"), 200);
  EXPECT_EQ(*file->GetInt("i8"), -2);
  EXPECT_EQ(*file->GetInt("u16"), 60000);
  EXPECT_EQ(*file->GetInt("i16"), -3);
  EXPECT_EQ(*file->GetInt("u32"), 4000000000);
  EXPECT_EQ(*file->GetInt("i32"), -4);
  EXPECT_EQ(*file->GetInt("u64"), int64_t{1} << 40);
  EXPECT_EQ(*file->GetInt("i64"), -5);
  EXPECT_EQ(*file->GetFloat("f32"), 1.5);
  EXPECT_EQ(*file->GetFloat("f64"), 0.1);
  EXPECT_TRUE(*file->GetBool("yes"));
  EXPECT_FALSE(*file->GetBool("no"));
  EXPECT_EQ(*file->GetString("text"), "caf\xC3\xA9");
  EXPECT_EQ(file->metadata().size(), 13u);
}

TEST(GgufFile, WidensArrays) {
  GgufWriter writer;
  writer.SetStrings("strings", {"a", "", "ccc"});
  writer.SetInt32s("ints", {3, -1});
  writer.AddRaw(
      "bytes",
      Typed(GgufTypeId::kArray).Type(GgufTypeId::kUint8).U64(2).U8(7).U8(255));
  writer.AddRaw(
      "floats",
      Typed(GgufTypeId::kArray).Type(GgufTypeId::kFloat32).U64(1).F32(-0.5f));
  writer.AddRaw(
      "bools",
      Typed(GgufTypeId::kArray).Type(GgufTypeId::kBool).U64(2).U8(1).U8(0));
  writer.SetStrings("empty", {});
  const auto file = MustParse(writer.Build());
  ASSERT_NE(file, nullptr);
  EXPECT_THAT(Elements<std::string>(*file, "strings"),
              ElementsAre("a", "", "ccc"));
  EXPECT_THAT(Elements<int64_t>(*file, "ints"), ElementsAre(3, -1));
  EXPECT_THAT(Elements<uint64_t>(*file, "bytes"), ElementsAre(7, 255));
  EXPECT_THAT(Elements<double>(*file, "floats"), ElementsAre(-0.5));
  EXPECT_THAT(Elements<bool>(*file, "bools"), ElementsAre(true, false));
  ASSERT_NE(file->FindValue("empty"), nullptr);
  EXPECT_TRUE(Elements<std::string>(*file, "empty").empty());
}

TEST(GgufFile, TypedAccessNamesTheKey) {
  GgufWriter writer;
  writer.SetString("text", "a");
  writer.SetUint32("number", 1);
  writer.AddRaw("huge", Typed(GgufTypeId::kUint64).U64(~uint64_t{0}));
  writer.SetFloat32("nan", std::numeric_limits<float>::quiet_NaN());
  const auto file = MustParse(writer.Build());
  ASSERT_NE(file, nullptr);
  const auto expect = [](const absl::Status& status, absl::StatusCode code,
                         const char* message) {
    EXPECT_EQ(status.code(), code);
    EXPECT_EQ(status.message(), message);
  };
  expect(file->GetInt("missing").status(), absl::StatusCode::kNotFound,
         "the metadata key 'missing' is missing; convert the model again");
  expect(file->GetInt("text").status(), absl::StatusCode::kInvalidArgument,
         "the metadata key 'text' is not an integer; convert the model again");
  expect(file->GetFloat("number").status(), absl::StatusCode::kInvalidArgument,
         "the metadata key 'number' is not a floating-point number; convert "
         "the model again");
  expect(file->GetBool("number").status(), absl::StatusCode::kInvalidArgument,
         "the metadata key 'number' is not a boolean; convert the model again");
  expect(file->GetString("number").status(), absl::StatusCode::kInvalidArgument,
         "the metadata key 'number' is not a string; convert the model again");
  expect(file->GetInt("huge").status(), absl::StatusCode::kInvalidArgument,
         "the metadata key 'huge' is 18446744073709551615, out of range; "
         "convert the model again");
  EXPECT_THAT(std::string(file->GetFloat("nan").status().message()),
              HasSubstr("'nan' is nan, not a finite number"));
}

TEST(GgufFile, FindsTensorsAtTheirOffsets) {
  GgufWriter writer;
  writer.AddTensor("a", TensorType::kF32, {3},
                   EncodeTestTensor(TensorType::kF32, {1, 2, 3}));
  writer.AddTensor("b", TensorType::kQ8_0, {32, 2, 1, 3},
                   std::vector<std::byte>(6 * 34, std::byte{9}));
  const std::vector<std::byte> bytes = writer.Build();
  const auto file = MustParse(bytes);
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(file->tensors().size(), 2u);
  EXPECT_EQ(file->FindTensor("c"), nullptr);
  const GgufTensor* a = file->FindTensor("a");
  const GgufTensor* b = file->FindTensor("b");
  ASSERT_NE(a, nullptr);
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(a->type, TensorType::kF32);
  EXPECT_THAT(a->shape, ElementsAre(3));
  EXPECT_EQ(a->rows(), 1);
  EXPECT_EQ(a->bytes, 12);
  float values[3];
  std::memcpy(values, a->data, sizeof values);
  EXPECT_THAT(values, ElementsAre(1, 2, 3));
  EXPECT_THAT(b->shape, ElementsAre(32, 2, 1, 3));
  EXPECT_EQ(b->rows(), 6);
  EXPECT_EQ(b->bytes, 6 * 34);
  EXPECT_EQ(b->data, a->data + 32);
  EXPECT_EQ(b->data + b->bytes, bytes.data() + bytes.size());
}

TEST(GgufFile, HonoursTheDeclaredAlignment) {
  for (const uint32_t alignment : {8u, 64u, 4096u}) {
    GgufWriter writer;
    writer.alignment = alignment;
    writer.SetUint32("general.alignment", alignment);
    writer.AddTensor("a", TensorType::kF32, {1},
                     EncodeTestTensor(TensorType::kF32, {1}));
    writer.AddTensor("b", TensorType::kF32, {1},
                     EncodeTestTensor(TensorType::kF32, {2}));
    const std::vector<std::byte> bytes = writer.Build();
    const auto file = MustParse(bytes);
    ASSERT_NE(file, nullptr);
    EXPECT_EQ((file->FindTensor("a")->data - bytes.data()) % alignment, 0);
    EXPECT_EQ(file->FindTensor("b")->data - file->FindTensor("a")->data,
              alignment);
  }
}

TEST(GgufFile, ReadsVersion2) {
  GgufWriter writer;
  writer.version = 2;
  writer.SetUint32("a", 1);
  EXPECT_NE(MustParse(writer.Build()), nullptr);
}

TEST(GgufFile, HeaderOnlyNeedsNoData) {
  const GgufWriter writer = TinyModel({});
  const std::vector<std::byte> header = writer.BuildHeader();
  EXPECT_FALSE(GgufFile::Parse(header, {}).ok());
  const auto file = MustParse(header, /*header_only=*/true);
  ASSERT_NE(file, nullptr);
  const GgufTensor* embedding = file->FindTensor("token_embd.weight");
  ASSERT_NE(embedding, nullptr);
  EXPECT_EQ(embedding->data, nullptr);
  EXPECT_THAT(embedding->shape, ElementsAre(64, 320));
  EXPECT_EQ(embedding->bytes, 64 * 320 * 4);
}

TEST(GgufFile, OpensTheDemoModel) {
  const auto file = GgufFile::Open("deploy/demo/tiny-mla-21m-q8_0.gguf", {});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->metadata().size(), 42u);
  EXPECT_EQ((*file)->tensors().size(), 100u);
  EXPECT_EQ(*(*file)->GetString("general.name"), "tiny-mla-21m");
  EXPECT_EQ(Elements<std::string>(**file, "tokenizer.ggml.tokens").size(),
            4096u);
  EXPECT_EQ((*file)->FindTensor("blk.1.ffn_up_exps.weight")->rows(), 256 * 16);
  (*file)->DropPageCache();  // the data is read again when touched
  float first = 0;
  std::memcpy(&first, (*file)->FindTensor("output_norm.weight")->data, 4);
  EXPECT_NE(first, 0);
}

TEST(GgufFile, OpenNamesThePath) {
  const std::string path =
      WriteTestFile("broken.gguf", GgufBytes().Str("nonsense").bytes());
  const absl::Status status = GgufFile::Open(path, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("'" + path + "': this is not a GGUF file"));
  EXPECT_EQ(GgufFile::Open(path + ".missing", {}).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(GgufFile, ReadsRealVocabulariesQuickly) {
  constexpr int kTokens = 129280;
  std::vector<std::string> tokens, merges;
  for (int i = 0; i < kTokens; ++i) {
    tokens.push_back("token " + std::to_string(i));
    merges.push_back("a longer merge " + std::to_string(i));
  }
  GgufWriter writer;
  writer.SetStrings("tokenizer.ggml.tokens", tokens);
  writer.SetStrings("tokenizer.ggml.merges", merges);
  writer.SetInt32s("tokenizer.ggml.token_type",
                   std::vector<int32_t>(kTokens, 1));
  const std::vector<std::byte> bytes = writer.Build();
  const auto begin = std::chrono::steady_clock::now();
  const auto file = MustParse(bytes);
  const auto taken = std::chrono::steady_clock::now() - begin;
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(Elements<std::string>(*file, "tokenizer.ggml.tokens"), tokens);
  EXPECT_EQ(Elements<std::string>(*file, "tokenizer.ggml.merges"), merges);
  // About 20 ms on one core; the bound leaves room for sanitizers and load and
  // still fails anything that is not linear.
  EXPECT_LT(taken, std::chrono::seconds(5));
}

}  // namespace
}  // namespace mlad
