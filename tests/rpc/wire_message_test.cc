#include "rpc/wire_message.h"

#include <string>
#include <string_view>
#include <vector>

#include <grpcpp/support/slice.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mlad/v1/inference.pb.h"

namespace mlad {
namespace {

using testing::HasSubstr;

/// Bytes in slices of at most `slice_bytes`.
grpc::ByteBuffer Bytes(std::string_view bytes, size_t slice_bytes = 1 << 20) {
  std::vector<grpc::Slice> slices;
  for (size_t i = 0; i < bytes.size(); i += slice_bytes) {
    const std::string_view part = bytes.substr(i, slice_bytes);
    slices.emplace_back(part.data(), part.size());
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

absl::Status Parse(std::string_view bytes, google::protobuf::Message* out) {
  return ParseMessage(Bytes(bytes), out);
}

std::string MessageOf(const absl::Status& status) {
  return std::string(status.message());
}

TEST(WireMessage, ComesBackAsItWas) {
  v1::ChatRequest request;
  for (int i = 0; i < 20; ++i) {
    v1::ChatMessage& message = *request.add_messages();
    message.set_role("user");
    message.set_content("\xE4\xBD\xA0\xE5\xA5\xBD \xF0\x9F\x98\x80 \xC3\xA9");
  }
  request.mutable_options()->add_stop("\n");
  request.mutable_options()->mutable_sampling()->set_temperature(0.5f);
  request.mutable_options()->mutable_sampling()->set_seed(~uint64_t{0});
  const std::string bytes = request.SerializeAsString();
  for (const size_t slice_bytes : {size_t{1}, size_t{7}, size_t{1} << 20}) {
    v1::ChatRequest parsed;
    ASSERT_TRUE(ParseMessage(Bytes(bytes, slice_bytes), &parsed).ok());
    EXPECT_EQ(parsed.SerializeAsString(), bytes);
  }
  const grpc::ByteBuffer written = SerializeMessage(request);
  EXPECT_EQ(written.Length(), bytes.size());
  v1::ChatRequest parsed;
  ASSERT_TRUE(ParseMessage(written, &parsed).ok());
  EXPECT_EQ(parsed.SerializeAsString(), bytes);
}

TEST(WireMessage, NoBytesAreAnEmptyMessage) {
  v1::TokenizeRequest request;
  EXPECT_TRUE(Parse("", &request).ok());
  EXPECT_TRUE(ParseMessage(SerializeMessage(request), &request).ok());
}

TEST(WireMessage, NamesTheFieldThatIsNotUtf8) {
  v1::GenerateRequest generate;
  EXPECT_THAT(MessageOf(Parse("\x0A\x04ok\xFF!", &generate)),
              HasSubstr("text is not valid UTF-8 at byte 2"));

  // Messages 0 and 1; the second one's content is an overlong '/'.
  const std::string chat =
      std::string("\x0A\x03\x12\x01x", 5) + "\x0A\x05\x12\x03 \xC0\xAF";
  v1::ChatRequest request;
  EXPECT_THAT(MessageOf(Parse(chat, &request)),
              HasSubstr("messages[1].content is not valid UTF-8 at byte 1"));

  // options.stop[0]: half a surrogate pair.
  EXPECT_THAT(MessageOf(Parse("\x2A\x05\x1A\x03\xED\xA0\x80", &generate)),
              HasSubstr("options.stop[0] is not valid UTF-8 at byte 0"));
}

TEST(WireMessage, BytesFieldsMayHoldAnything) {
  v1::TokenAlternative alternative;
  alternative.set_piece("\xFF\xFE");
  v1::TokenAlternative parsed;
  EXPECT_TRUE(Parse(alternative.SerializeAsString(), &parsed).ok());
  EXPECT_EQ(parsed.piece(), "\xFF\xFE");
}

TEST(WireMessage, RefusesWhatIsNoMessage) {
  v1::GenerateRequest request;
  for (const std::string_view bytes :
       {"\x0A\x05short", "\x0A", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
        "\x2B", "\x0A\xFF\xFF\xFF\xFF\x07", "\x2A\x02\x0A\x09"}) {
    const std::string_view whole =
        bytes.size() == 7 ? bytes.substr(0, 5) : bytes;
    const absl::Status status = Parse(whole, &request);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(MessageOf(status),
                HasSubstr("no mlad.v1.GenerateRequest message"));
  }
}

TEST(WireMessage, IgnoresFieldsOfLaterVersions) {
  // Field 1000: a varint, 8 bytes, text that is not UTF-8, 4 bytes.
  const std::string unknown = std::string("\xC0\x3E\x01", 3) +
                              std::string("\xC1\x3E", 2) +
                              std::string(8, '\0') + "\xC2\x3E\x01\xFF" +
                              "\xC5\x3E" + std::string(4, '\1');
  v1::TokenizeRequest request;
  ASSERT_TRUE(Parse(unknown + "\x0A\x02ok", &request).ok());
  EXPECT_EQ(request.text(), "ok");
}

}  // namespace
}  // namespace mlad
