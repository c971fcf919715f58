// Bounds-checked reading of little-endian bytes.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace mlad {

static_assert(std::endian::native == std::endian::little,
              "GGUF bytes are taken as they are");

class GgufCursor {
 public:
  explicit GgufCursor(absl::Span<const std::byte> data) : data_(data) {}

  size_t position() const { return position_; }
  size_t remaining() const { return data_.size() - position_; }

  /// False, and nothing is read, where the bytes end.
  template <typename T>
  bool Read(T& value) {
    static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>);
    if (remaining() < sizeof(T)) return false;
    std::memcpy(&value, data_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return true;
  }

  /// A length (64 bits), then the text, which stays in the data.
  bool ReadString(std::string_view& text) {
    uint64_t length = 0;
    if (!Read(length) || length > remaining()) return false;
    text = {reinterpret_cast<const char*>(data_.data() + position_),
            static_cast<size_t>(length)};
    position_ += length;
    return true;
  }

 private:
  absl::Span<const std::byte> data_;
  size_t position_ = 0;
};

/// Text of a file for a message: in quotes, escaped, cut to 64 bytes.
std::string QuotedForMessage(std::string_view text);

/// "the file ends within <what>; ...".
absl::Status GgufTruncatedError(std::string_view what);

}  // namespace mlad
