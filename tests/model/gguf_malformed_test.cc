// What bad files get: one sentence each, never a crash or a large allocation.
#include <functional>
#include <limits>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/model/tiny_model.h"

#include "model/gguf_file.h"
#include "model/gguf_writer.h"

namespace mlad {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;
constexpr uint64_t kMax64 = std::numeric_limits<uint64_t>::max();

/// Two tensors of 32 floats, one of them Q8_0, and some metadata.
GgufWriter SmallFile() {
  GgufWriter writer;
  writer.SetString("general.architecture", "deepseek2");
  writer.SetStrings("words", {"one", "two"});
  writer.SetBool("flag", true);
  writer.AddTensor("first", TensorType::kF32, {32},
                   std::vector<std::byte>(128));
  writer.AddTensor("second", TensorType::kQ8_0, {32},
                   std::vector<std::byte>(34));
  return writer;
}

struct BadFile {
  std::string name;
  std::function<void(GgufWriter&)> spoil;
  absl::StatusCode code;
  std::string message;  // part of it
};

class Malformed : public ::testing::TestWithParam<BadFile> {};

TEST_P(Malformed, GetsOneSentence) {
  GgufWriter writer = SmallFile();
  GetParam().spoil(writer);
  const absl::Status status = GgufFile::Parse(writer.Build(), {}).status();
  EXPECT_EQ(status.code(), GetParam().code) << status;
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr(GetParam().message));
  // The remedy follows.
  EXPECT_THAT(message, AnyOf(HasSubstr("; "), HasSubstr(": use a file"),
                             HasSubstr(": the file is damaged")));
  EXPECT_LT(message.size(), 400u);
}

GgufWriter::Tensor& Second(GgufWriter& writer) { return writer.tensors[1]; }

const BadFile kHeaders[] = {
    {"Magic", [](GgufWriter& w) { w.magic = 0x11223344; }, kInvalid,
     "this is not a GGUF file: it begins with 'D3\\\"\\x11' instead of 'GGUF'"},
    {"BigEndianMagic", [](GgufWriter& w) { w.magic = 0x47475546; },
     kUnimplemented, "the file is big-endian"},
    {"BigEndianVersion", [](GgufWriter& w) { w.version = 3u << 24; },
     kUnimplemented, "the file is big-endian"},
    {"Version1", [](GgufWriter& w) { w.version = 1; }, kUnimplemented,
     "the file has version 1 of the GGUF format, of 2023"},
    {"Version4", [](GgufWriter& w) { w.version = 4; }, kUnimplemented,
     "the file has version 4 of the GGUF format"},
    {"Version0", [](GgufWriter& w) { w.version = 0; }, kUnimplemented,
     "the file has version 0 of the GGUF format"},
};

GgufBytes Typed(GgufTypeId type) { return GgufBytes().Type(type); }
GgufBytes ArrayOf(GgufTypeId type, uint64_t count) {
  return Typed(GgufTypeId::kArray).Type(type).U64(count);
}
std::function<void(GgufWriter&)> Key(const GgufBytes& value) {
  return [value](GgufWriter& writer) { writer.AddRaw("k", value); };
}
std::function<void(GgufWriter&)> Alignment(uint32_t alignment) {
  return [alignment](GgufWriter& writer) {
    writer.SetUint32("general.alignment", alignment);
  };
}

const BadFile kMetadata[] = {
    {"DuplicateKey",
     [](GgufWriter& w) { w.AddRaw("flag", Typed(GgufTypeId::kBool).U8(1)); },
     kInvalid, "the metadata key 'flag' appears twice"},
    {"EmptyKey",
     [](GgufWriter& w) { w.AddRaw("", Typed(GgufTypeId::kBool).U8(1)); },
     kInvalid, "metadata key 3 has a name of 0 bytes"},
    {"LongKey",
     [](GgufWriter& w) {
       w.AddRaw(std::string(65536, 'k'), Typed(GgufTypeId::kBool).U8(1));
     },
     kInvalid, "metadata key 3 has a name of 65536 bytes"},
    {"UnknownType", Key(GgufBytes().U32(13).U32(0)), kInvalid,
     "the metadata key 'k' has the value type 13, which the format lacks"},
    {"UnknownElementType", Key(Typed(GgufTypeId::kArray).U32(99).U64(1).U64(0)),
     kInvalid, "the metadata key 'k' has the value type 99"},
    {"ArrayOfArrays", Key(ArrayOf(GgufTypeId::kArray, 1).U32(4).U64(0)),
     kInvalid, "the metadata key 'k' is an array of arrays"},
    {"BooleanOf2", Key(Typed(GgufTypeId::kBool).U8(2)), kInvalid,
     "the metadata key 'k' is a boolean with the value 2"},
    {"BooleanOf255InArray", Key(ArrayOf(GgufTypeId::kBool, 1).U8(255)),
     kInvalid, "the metadata key 'k' is a boolean with the value 255"},
    {"StringPastTheEnd", Key(Typed(GgufTypeId::kString).U64(100000)), kInvalid,
     "the metadata key 'k' runs past the end of the file"},
    {"StringOf2To64", Key(Typed(GgufTypeId::kString).U64(kMax64)), kInvalid,
     "the metadata key 'k' runs past the end of the file"},
    {"ArrayOf2To64Bytes", Key(ArrayOf(GgufTypeId::kUint8, kMax64)), kInvalid,
     "the metadata key 'k' runs past the end of the file"},
    {"ArrayOf2To61Words",
     Key(ArrayOf(GgufTypeId::kUint64, (uint64_t{1} << 61) + 1)), kInvalid,
     "the metadata key 'k' runs past the end of the file"},
    {"ArrayOf2To61Strings",
     Key(ArrayOf(GgufTypeId::kString, (uint64_t{1} << 61) + 1)), kInvalid,
     "the metadata key 'k' runs past the end of the file"},
    {"AlignmentOf0", Alignment(0), kInvalid,
     "general.alignment is 0, not a power of two of 8 to 1073741824"},
    {"AlignmentOf4", Alignment(4), kInvalid, "general.alignment is 4, not"},
    {"AlignmentOf48", Alignment(48), kInvalid, "general.alignment is 48, not"},
    {"AlignmentOf2To31", Alignment(1u << 31), kInvalid,
     "general.alignment is 2147483648, not"},
    {"AlignmentOfText",
     [](GgufWriter& w) { w.SetString("general.alignment", "32"); }, kInvalid,
     "the metadata key 'general.alignment' is not an integer"},
    {"PartOfASplit", [](GgufWriter& w) { w.SetUint16("split.count", 3); },
     kInvalid, "the data is one of 3 parts of a model"},
};

const BadFile kTensors[] = {
    {"DuplicateTensor", [](GgufWriter& w) { Second(w).name = "first"; },
     kInvalid, "the tensor 'first' appears twice"},
    {"EmptyName", [](GgufWriter& w) { Second(w).name = ""; }, kInvalid,
     "tensor 1 has a name of 0 bytes instead of 1 to 64"},
    {"LongName", [](GgufWriter& w) { Second(w).name = std::string(65, 'n'); },
     kInvalid, "tensor 1 has a name of 65 bytes instead of 1 to 64"},
    {"BinaryName",
     [](GgufWriter& w) {
       Second(w).name = "a\n\xFF";
       Second(w).shape = {0};
     },
     kInvalid, "the tensor 'a\\n\\xff' has the size 0 in dimension 0"},
    {"NoDimensions", [](GgufWriter& w) { Second(w).shape = {}; }, kInvalid,
     "the tensor 'second' has 0 dimensions instead of 1 to 4"},
    {"FiveDimensions",
     [](GgufWriter& w) {
       Second(w).shape = {32, 1, 1, 1, 1};
     },
     kInvalid, "the tensor 'second' has 5 dimensions instead of 1 to 4"},
    {"ZeroRows",
     [](GgufWriter& w) {
       Second(w).shape = {32, 0};
     },
     kInvalid, "the tensor 'second' has the size 0 in dimension 1"},
    {"HugeDimension",
     [](GgufWriter& w) { Second(w).shape = {uint64_t{1} << 63}; }, kInvalid,
     "has the size 9223372036854775808 in dimension 0"},
    {"ProductOverflow",
     [](GgufWriter& w) {
       Second(w).shape = {uint64_t{1} << 32, uint64_t{1} << 32};
     },
     kInvalid, "'second' has more elements than 64 bits can count"},
    {"ProductOverflowToSmall",
     [](GgufWriter& w) {
       // The elements come to 2^36 modulo 2^64.
       Second(w).shape = {uint64_t{1} << 34, (uint64_t{1} << 30) + 1, 4};
     },
     kInvalid, "'second' has more elements than 64 bits can count"},
    {"UnknownType", [](GgufWriter& w) { Second(w).type = 1000; }, kInvalid,
     "the tensor 'second': no tensor type has the number 1000"},
    {"UnsupportedType", [](GgufWriter& w) { Second(w).type = 34; },
     kUnimplemented, "the tensor 'second': tensor type TQ1_0 is not supported"},
    {"PartialBlock", [](GgufWriter& w) { Second(w).shape = {33}; }, kInvalid,
     "the tensor 'second' has rows of 33 elements, not a multiple of the 32 of "
     "a Q8_0 block"},
    {"MisalignedOffset", [](GgufWriter& w) { Second(w).offset += 1; }, kInvalid,
     "the tensor 'second' begins at offset 129, not a multiple of the file's "
     "alignment of 32"},
    {"OffsetPastTheEnd",
     [](GgufWriter& w) { Second(w).offset = uint64_t{1} << 40; }, kInvalid,
     "the tensor 'second' ends at byte"},
    {"OffsetOverflow", [](GgufWriter& w) { Second(w).offset = kMax64 - 31; },
     kInvalid,
     "the tensor 'second' begins at the impossible offset "
     "18446744073709551584"},
    {"Overlap", [](GgufWriter& w) { Second(w).offset = 96; }, kInvalid,
     "the tensor 'first' overlaps the tensor 'second'"},
    {"DataMissing", [](GgufWriter& w) { Second(w).data.pop_back(); }, kInvalid,
     "the tensor 'second' ends at byte"},
};

std::string CaseName(const ::testing::TestParamInfo<BadFile>& info) {
  return info.param.name;
}
INSTANTIATE_TEST_SUITE_P(Header, Malformed, ::testing::ValuesIn(kHeaders),
                         CaseName);
INSTANTIATE_TEST_SUITE_P(Metadata, Malformed, ::testing::ValuesIn(kMetadata),
                         CaseName);
INSTANTIATE_TEST_SUITE_P(Tensors, Malformed, ::testing::ValuesIn(kTensors),
                         CaseName);

TEST(MalformedGguf, TheUnspoiledFileIsGood) {
  EXPECT_TRUE(GgufFile::Parse(SmallFile().Build(), {}).ok());
}

TEST(MalformedGguf, EveryTruncationIsAnError) {
  const std::vector<std::byte> bytes = SmallFile().Build();
  for (size_t size = 0; size < bytes.size(); ++size) {
    // A copy of its own: reading past it is seen by AddressSanitizer.
    const std::vector<std::byte> part(bytes.begin(), bytes.begin() + size);
    const absl::Status status = GgufFile::Parse(part, {}).status();
    ASSERT_EQ(status.code(), kInvalid) << size << " bytes: " << status;
  }
}

TEST(MalformedGguf, EveryTruncatedHeaderIsAnErrorWithoutData) {
  const GgufWriter writer = SmallFile();
  // Up to the last tensor's entry; what follows is padding.
  size_t end = writer.BuildHeader().size();
  const std::vector<std::byte> bytes = writer.BuildHeader();
  while (bytes[end - 1] == std::byte{0}) --end;
  for (size_t size = 0; size < end; ++size) {
    const std::vector<std::byte> part(bytes.begin(), bytes.begin() + size);
    ASSERT_EQ(GgufFile::Parse(part, {.header_only = true}).status().code(),
              kInvalid)
        << size;
  }
}

/// Header with these counts and nothing behind it.
absl::Status ParseCounts(uint64_t tensors, uint64_t keys) {
  const GgufBytes bytes =
      GgufBytes().U32(GgufWriter().magic).U32(3).U64(tensors).U64(keys);
  return GgufFile::Parse(bytes.bytes(), {}).status();
}

TEST(MalformedGguf, AbsurdCountsAreRefusedAtOnce) {
  EXPECT_THAT(std::string(ParseCounts(0, kMax64).message()),
              HasSubstr("claims 18446744073709551615 metadata keys, more than "
                        "the 65536"));
  EXPECT_THAT(std::string(ParseCounts(kMax64, 0).message()),
              HasSubstr("claims 18446744073709551615 tensors, more than the "
                        "1048576"));
  EXPECT_THAT(std::string(ParseCounts(1, 0).message()),
              HasSubstr("the file ends within the name of tensor 0"));
  EXPECT_THAT(std::string(ParseCounts(0, 1).message()),
              HasSubstr("the file ends within the name of metadata key 0"));
  EXPECT_TRUE(ParseCounts(0, 0).ok());
}

TEST(MalformedGguf, LongArraysAreRefused) {
  constexpr uint64_t kCount = (1 << 24) + 1;
  GgufWriter writer;
  writer.AddRaw("long", GgufBytes(ArrayOf(GgufTypeId::kUint8, kCount))
                            .Append(std::vector<char>(kCount).data(), kCount));
  EXPECT_THAT(
      std::string(GgufFile::Parse(writer.Build(), {}).status().message()),
      HasSubstr("the metadata key 'long' is an array of 16777217 elements, "
                "more than the 16777216"));
}

TEST(MalformedGguf, EveryFlippedByteIsHandled) {
  const std::vector<std::byte> good = SmallFile().Build();
  int refused = 0;
  for (size_t i = 0; i < good.size(); ++i) {
    for (const std::byte flip :
         {std::byte{0x01}, std::byte{0x80}, std::byte{0xFF}}) {
      std::vector<std::byte> bytes = good;
      bytes[i] ^= flip;
      const auto file = GgufFile::Parse(bytes, {});
      if (!file.ok()) {
        ++refused;
        continue;
      }
      for (const auto& [name, tensor] : (*file)->tensors()) {
        ASSERT_GE(tensor.data, bytes.data());
        ASSERT_LE(tensor.data + tensor.bytes, bytes.data() + bytes.size());
      }
    }
  }
  EXPECT_GT(refused, 300);
}

}  // namespace
}  // namespace mlad
