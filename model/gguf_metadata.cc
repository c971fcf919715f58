#include "model/gguf_metadata.h"

#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status.h"

namespace mlad {
namespace {

constexpr size_t kMaxKeyBytes = 65535;  // of the format
constexpr uint64_t kMaxEntries = 1 << 16;
// Vocabularies have some 200,000 entries; the limit bounds what a file can make
// mlad allocate.
constexpr uint64_t kMaxArrayElements = 1 << 24;

/// Value type ids of the format.
enum class ValueType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

/// Calls visit(T()) with the C++ type that stores `type` in the file: bool for
/// kBool, std::string for kString.
template <typename Visit>
absl::Status VisitType(uint32_t type, Visit visit) {
  switch (static_cast<ValueType>(type)) {
    case ValueType::kUint8:
      return visit(uint8_t());
    case ValueType::kInt8:
      return visit(int8_t());
    case ValueType::kUint16:
      return visit(uint16_t());
    case ValueType::kInt16:
      return visit(int16_t());
    case ValueType::kUint32:
      return visit(uint32_t());
    case ValueType::kInt32:
      return visit(int32_t());
    case ValueType::kFloat32:
      return visit(float());
    case ValueType::kBool:
      return visit(bool());
    case ValueType::kString:
      return visit(std::string());
    case ValueType::kUint64:
      return visit(uint64_t());
    case ValueType::kInt64:
      return visit(int64_t());
    case ValueType::kFloat64:
      return visit(double());
    case ValueType::kArray:
      return absl::InvalidArgumentError(
          "is an array of arrays, which mlad does not read; convert the model "
          "again without it");
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "has the value type ", type,
      ", which the format lacks; the file is damaged, download it again"));
}

/// The widened type that represents a stored T.
template <typename T>
struct Widened {
  using Type = std::conditional_t<
      std::is_floating_point_v<T>, double,
      std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>;
};
template <>
struct Widened<bool> {
  using Type = bool;
};
template <>
struct Widened<std::string> {
  using Type = std::string;
};

absl::Status Truncated() {
  return absl::InvalidArgumentError(
      "runs past the end of the file; it is truncated or damaged, download or "
      "convert it again");
}

template <typename T>
absl::Status ReadOne(GgufCursor& cursor, typename Widened<T>::Type& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    std::string_view text;
    if (!cursor.ReadString(text)) return Truncated();
    value = text;
  } else if constexpr (std::is_same_v<T, bool>) {
    uint8_t byte = 0;
    if (!cursor.Read(byte)) return Truncated();
    if (byte > 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("is a boolean with the value ", byte,
                       "; the file is damaged, download or convert it again"));
    }
    value = byte == 1;
  } else {
    T stored{};
    if (!cursor.Read(stored)) return Truncated();
    value = stored;
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status ReadElements(GgufCursor& cursor, uint64_t count,
                          GgufArray& array) {
  // A string takes at least its length field.
  constexpr size_t kElementBytes =
      std::is_same_v<T, std::string> ? sizeof(uint64_t) : sizeof(T);
  if (count > cursor.remaining() / kElementBytes) return Truncated();
  if (count > kMaxArrayElements) {
    return absl::InvalidArgumentError(absl::StrCat(
        "is an array of ", count, " elements, more than the ",
        kMaxArrayElements, " mlad accepts; convert the model without it"));
  }
  std::vector<typename Widened<T>::Type> values(count);
  for (uint64_t i = 0; i < count; ++i) {
    typename Widened<T>::Type value{};
    MLAD_RETURN_IF_ERROR(ReadOne<T>(cursor, value));
    values[i] = std::move(value);
  }
  array.values = std::move(values);
  return absl::OkStatus();
}

absl::Status ReadArray(GgufCursor& cursor, GgufArray& array) {
  uint32_t type = 0;
  uint64_t count = 0;
  if (!cursor.Read(type) || !cursor.Read(count)) return Truncated();
  return VisitType(type, [&]<typename T>(T) {
    return ReadElements<T>(cursor, count, array);
  });
}

absl::Status ReadValue(GgufCursor& cursor, GgufValue& value) {
  uint32_t type = 0;
  if (!cursor.Read(type)) return Truncated();
  if (type == static_cast<uint32_t>(ValueType::kArray)) {
    return ReadArray(cursor, value.emplace<GgufArray>());
  }
  return VisitType(type, [&]<typename T>(T) {
    return ReadOne<T>(cursor, value.emplace<typename Widened<T>::Type>());
  });
}

absl::Status ReadKey(GgufCursor& cursor, uint64_t index,
                     std::string_view& key) {
  if (!cursor.ReadString(key)) {
    return GgufTruncatedError(absl::StrCat("the name of metadata key ", index));
  }
  if (key.empty() || key.size() > kMaxKeyBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("metadata key ", index, " has a name of ", key.size(),
                     " bytes instead of 1 to ", kMaxKeyBytes,
                     "; the file is damaged, download or convert it again"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadGgufMetadata(GgufCursor& cursor, uint64_t count,
                              GgufMetadata& metadata) {
  if (count > kMaxEntries) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the file claims ", count, " metadata keys, more than the ",
        kMaxEntries, " mlad accepts; it is damaged, download it again"));
  }
  for (uint64_t i = 0; i < count; ++i) {
    std::string_view key;
    MLAD_RETURN_IF_ERROR(ReadKey(cursor, i, key));
    const auto [entry, inserted] = metadata.try_emplace(std::string(key));
    if (!inserted) {
      return absl::InvalidArgumentError(
          absl::StrCat("the metadata key ", QuotedForMessage(key),
                       " appears twice; convert the model again"));
    }
    const absl::Status status = ReadValue(cursor, entry->second);
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrCat("the metadata key ",
                                                      QuotedForMessage(key),
                                                      " ", status.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace mlad
