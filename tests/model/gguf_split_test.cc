// Models in several files.
#include <filesystem>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/model/test_file.h"
#include "tests/model/tiny_model.h"

#include "model/gguf_file.h"
#include "model/gguf_writer.h"

namespace mlad {
namespace {

using ::testing::HasSubstr;

constexpr int kParts = 3;

/// A model of three parts with one tensor each, and the first with two.
class SplitGguf : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < kParts; ++i) {
      parts_[i].SetUint16("split.no", static_cast<uint16_t>(i));
      parts_[i].SetUint16("split.count", kParts);
      parts_[i].SetInt32("split.tensors.count", kParts + 1);
      AddTensor(i, absl::StrFormat("tensor%d", i), static_cast<float>(i));
    }
    AddTensor(0, "more", 7);
    parts_[0].SetString("general.name", "split");
  }

  void TearDown() override { std::filesystem::remove_all(Folder()); }

  void AddTensor(int part, const std::string& name, float value) {
    parts_[part].AddTensor(name, TensorType::kF32, {1},
                           EncodeTestTensor(TensorType::kF32, {value}));
  }

  static std::filesystem::path Folder() {
    return std::filesystem::path(WriteTestFile("any", {std::byte{0}}))
        .parent_path();
  }

  static std::string Name(int number) {
    return absl::StrFormat("m-%05d-of-%05d.gguf", number, kParts);
  }

  /// Writes all parts; the path of part `number`.
  std::string Write(int number = 1) {
    for (int i = 0; i < kParts; ++i) {
      WriteTestFile(Name(i + 1), parts_[i].Build());
    }
    return (Folder() / Name(number)).string();
  }

  static std::string Error(const std::string& path, absl::StatusCode code) {
    const absl::Status status = GgufFile::Open(path, {}).status();
    EXPECT_EQ(status.code(), code) << status;
    return std::string(status.message());
  }
  std::string InvalidError() {
    return Error(Write(), absl::StatusCode::kInvalidArgument);
  }

  GgufWriter parts_[kParts];
};

TEST_F(SplitGguf, PartsFormOneModel) {
  const auto file = GgufFile::Open(Write(), {});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(*(*file)->GetString("general.name"), "split");
  EXPECT_EQ((*file)->tensors().size(), 4u);
  for (int i = 0; i < kParts; ++i) {
    const GgufTensor* tensor =
        (*file)->FindTensor(absl::StrFormat("tensor%d", i));
    ASSERT_NE(tensor, nullptr);
    float value = -1;
    std::memcpy(&value, tensor->data, sizeof value);
    EXPECT_EQ(value, static_cast<float>(i));
  }
}

TEST_F(SplitGguf, HeaderOnlyOpensAllParts) {
  Write();
  for (int i = 0; i < kParts; ++i) {
    WriteTestFile(Name(i + 1), parts_[i].BuildHeader());
  }
  const auto file =
      GgufFile::Open((Folder() / Name(1)).string(), {.header_only = true});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->tensors().size(), 4u);
}

TEST_F(SplitGguf, OtherThanTheFirstPartNamesTheFirst) {
  const std::string path = Write(2);
  EXPECT_THAT(
      Error(path, absl::StatusCode::kInvalidArgument),
      HasSubstr("the file is part 2 of 3; give the path of the first, '" +
                (Folder() / Name(1)).string() + "'"));
}

TEST_F(SplitGguf, MissingPartIsNamed) {
  const std::string path = Write();
  std::filesystem::remove(Folder() / Name(3));
  EXPECT_THAT(Error(path, absl::StatusCode::kNotFound),
              HasSubstr("part 3 of 3, '" + (Folder() / Name(3)).string() +
                        "', is missing; put all parts into one folder"));
}

TEST_F(SplitGguf, DamagedPartIsNamed) {
  const std::string path = Write();
  WriteTestFile(Name(2), parts_[1].BuildHeader());
  EXPECT_THAT(Error(path, absl::StatusCode::kInvalidArgument),
              HasSubstr(Name(2) + "': the tensor 'tensor1' ends at byte"));
}

TEST_F(SplitGguf, RenamedFileSaysHowPartsAreNamed) {
  const std::string path = WriteTestFile("renamed.gguf", parts_[0].Build());
  EXPECT_THAT(Error(path, absl::StatusCode::kInvalidArgument),
              HasSubstr("the file is one of 3 parts but its name does not end "
                        "in '-00001-of-00003.gguf'"));
}

TEST_F(SplitGguf, CountInTheNameMustBeRight) {
  const std::string path =
      WriteTestFile("m-00001-of-00004.gguf", parts_[0].Build());
  EXPECT_THAT(Error(path, absl::StatusCode::kInvalidArgument),
              HasSubstr("its name does not end in '-00001-of-00003.gguf'"));
}

TEST_F(SplitGguf, FirstPartMustSayThatItIs) {
  parts_[0].SetUint16("split.no", 1);
  EXPECT_THAT(InvalidError(), HasSubstr("split.no is 1 instead of 0"));
}

TEST_F(SplitGguf, PartsMustSayTheirNumber) {
  parts_[2].SetUint16("split.no", 1);
  EXPECT_THAT(InvalidError(),
              HasSubstr(Name(3) + "': split.no is 1 instead of 2"));
  parts_[2].Remove("split.no");
  EXPECT_EQ(GgufFile::Open(Write(), {}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(SplitGguf, PartsMustAgreeOnTheCount) {
  parts_[1].SetUint16("split.count", 2);
  EXPECT_THAT(InvalidError(),
              HasSubstr(Name(2) + "': split.count is 2 instead of 3"));
}

TEST_F(SplitGguf, CountMustBeSane) {
  parts_[0].SetInt32("split.count", -2);
  EXPECT_THAT(InvalidError(),
              HasSubstr("split.count is -2 instead of 1 to 99999"));
  parts_[0].SetInt32("split.count", 100000);
  EXPECT_THAT(InvalidError(), HasSubstr("split.count is 100000 instead of"));
  parts_[0].SetString("split.count", "3");
  EXPECT_THAT(InvalidError(), HasSubstr("'split.count' is not an integer"));
}

TEST_F(SplitGguf, TensorsOfAllPartsAreCounted) {
  parts_[0].SetInt32("split.tensors.count", 5);
  EXPECT_THAT(InvalidError(),
              HasSubstr("split.tensors.count is 5 instead of 4"));
}

TEST_F(SplitGguf, TensorInTwoPartsIsRefused) {
  AddTensor(2, "more", 1);
  EXPECT_THAT(
      InvalidError(),
      HasSubstr(Name(3) + "': the tensor 'more' is in an earlier part too"));
}

TEST_F(SplitGguf, SinglePartNeedsNoSpecialName) {
  for (const uint16_t count : {0, 1}) {
    GgufWriter writer;
    writer.SetUint16("split.count", count);
    const std::string path = WriteTestFile("single.gguf", writer.Build());
    EXPECT_TRUE(GgufFile::Open(path, {}).ok());
  }
}

}  // namespace
}  // namespace mlad
