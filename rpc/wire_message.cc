#include "rpc/wire_message.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <grpcpp/support/slice.h>

#include "absl/strings/str_cat.h"

#include "model/utf8.h"

namespace mlad {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::io::CodedInputStream;

// The encoding of protobuf: a tag holds the field's number and one of these.
enum WireType : uint32_t {
  kVarint = 0,
  kFixed64 = 1,
  kLengthDelimited = 2,
  kFixed32 = 5,
};
constexpr uint32_t kWireTypeBits = 3;
constexpr uint32_t kWireTypeMask = (1u << kWireTypeBits) - 1;

/// Bytes at the start of `text` that are whole, valid characters.
size_t ValidUtf8Prefix(std::string_view text) {
  size_t valid = 0;
  while (valid < text.size()) {
    const Utf8Step step = FirstUtf8(text.substr(valid));
    if (step.kind != Utf8Kind::kCharacter) break;
    valid += step.bytes;
  }
  return valid;
}

/// Walks over an encoded message and looks at its text fields only.
class TextCheck {
 public:
  explicit TextCheck(const Descriptor& type) : type_(type) {}

  /// OK for bytes that are no message, too: the parser will refuse them.
  absl::Status Run(std::string_view bytes, const std::string& path) {
    CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                        static_cast<int>(bytes.size()));
    while (const uint32_t tag = in.ReadTag()) {
      if ((tag & kWireTypeMask) != kLengthDelimited) {
        if (!SkipScalar(tag & kWireTypeMask, in)) break;
        continue;
      }
      int length = 0;
      if (!in.ReadVarintSizeAsInt(&length)) break;
      const int begin = in.CurrentPosition();
      if (!in.Skip(length)) break;
      const FieldDescriptor* field =
          type_.FindFieldByNumber(static_cast<int>(tag >> kWireTypeBits));
      if (field == nullptr) continue;
      const absl::Status status =
          CheckField(*field, bytes.substr(begin, length), path);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  static bool SkipScalar(uint32_t wire_type, CodedInputStream& in) {
    uint64_t value = 0;
    switch (wire_type) {
      case kVarint:
        return in.ReadVarint64(&value);
      case kFixed64:
        return in.Skip(8);
      case kFixed32:
        return in.Skip(4);
      default:
        return false;
    }
  }

  absl::Status CheckField(const FieldDescriptor& field, std::string_view value,
                          const std::string& path) {
    std::string name = absl::StrCat(path, field.name());
    if (field.is_repeated()) {
      absl::StrAppend(&name, "[", seen_[field.number()]++, "]");
    }
    if (field.type() == FieldDescriptor::TYPE_MESSAGE) {
      return TextCheck(*field.message_type()).Run(value, name + ".");
    }
    if (field.type() != FieldDescriptor::TYPE_STRING) return absl::OkStatus();
    const size_t valid = ValidUtf8Prefix(value);
    if (valid == value.size()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        name, " is not valid UTF-8 at byte ", valid, "; send it as UTF-8"));
  }

  const Descriptor& type_;
  std::map<int, int> seen_;  // entries of repeated fields so far, by number
};

}  // namespace

absl::Status ParseMessage(const grpc::ByteBuffer& bytes,
                          google::protobuf::Message* message) {
  grpc::Slice slice;
  if (bytes.Length() > 0 && !bytes.DumpToSingleSlice(&slice).ok()) {
    return absl::InternalError("the request's bytes could not be read");
  }
  const std::string_view data(reinterpret_cast<const char*>(slice.begin()),
                              slice.size());
  const Descriptor& type = *message->GetDescriptor();
  const absl::Status text = TextCheck(type).Run(data, "");
  if (!text.ok()) return text;
  if (!message->ParseFromArray(data.data(), static_cast<int>(data.size()))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the request is no ", type.full_name(),
        " message; the client and the daemon use different proto files"));
  }
  return absl::OkStatus();
}

grpc::ByteBuffer SerializeMessage(
    const google::protobuf::MessageLite& message) {
  grpc::Slice slice(message.ByteSizeLong());
  message.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(slice.begin()));
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace mlad
