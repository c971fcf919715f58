// Writes GGUF files byte by byte, right or deliberately wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "quant/tensor_type.h"

namespace mlad {

/// The metadata value types of the format, by their ids in the file.
enum class GgufTypeId : uint32_t {
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

/// Little-endian bytes, appended.
class GgufBytes {
 public:
  GgufBytes& U8(uint8_t value) { return Append(&value, sizeof value); }
  GgufBytes& U16(uint16_t value) { return Append(&value, sizeof value); }
  GgufBytes& U32(uint32_t value) { return Append(&value, sizeof value); }
  GgufBytes& I32(int32_t value) { return Append(&value, sizeof value); }
  GgufBytes& U64(uint64_t value) { return Append(&value, sizeof value); }
  GgufBytes& F32(float value) { return Append(&value, sizeof value); }
  GgufBytes& F64(double value) { return Append(&value, sizeof value); }
  GgufBytes& Type(GgufTypeId type) { return U32(static_cast<uint32_t>(type)); }
  /// Length (64 bits), then the text.
  GgufBytes& Str(std::string_view text);
  GgufBytes& Append(const void* data, size_t size);
  GgufBytes& PadTo(size_t alignment);

  const std::vector<std::byte>& bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }

 private:
  std::vector<std::byte> bytes_;
};

/// Collects metadata and tensors; Build() lays out the file. What a test wants
/// wrong it sets in the public fields, in an entry of `tensors`, or by writing
/// raw metadata.
class GgufWriter {
 public:
  struct Tensor {
    std::string name;
    uint32_t type = 0;
    std::vector<uint64_t> shape;  // fastest dimension first
    uint64_t offset = 0;          // from the start of the data section
    std::vector<std::byte> data;
  };

  uint32_t magic = 0x46554747;  // "GGUF"
  uint32_t version = 3;
  uint32_t alignment = 32;  // of the layout; SetUint32 declares it in the file
  std::vector<Tensor> tensors;

  /// A later value of a key takes the place of the earlier one.
  void SetUint32(std::string_view key, uint32_t value);
  void SetInt32(std::string_view key, int32_t value);
  void SetUint16(std::string_view key, uint16_t value);
  void SetFloat32(std::string_view key, float value);
  void SetBool(std::string_view key, bool value);
  void SetString(std::string_view key, std::string_view value);
  void SetStrings(std::string_view key, const std::vector<std::string>& values);
  void SetInt32s(std::string_view key, const std::vector<int32_t>& values);
  /// `value`: type id and payload. Raw entries may repeat a key.
  void AddRaw(std::string_view key, const GgufBytes& value);
  void Remove(std::string_view key);

  /// Appends a tensor behind the ones so far, aligned.
  void AddTensor(std::string_view name, TensorType type,
                 std::vector<uint64_t> shape, std::vector<std::byte> data);
  /// Null when absent.
  Tensor* FindTensor(std::string_view name);
  void RemoveTensor(std::string_view name);

  /// Counts, metadata, tensor entries, padding.
  std::vector<std::byte> BuildHeader() const;
  /// The header and the data of all tensors at their offsets, where those are
  /// sane (below 64 MiB); absurd offsets are written to the entry only.
  std::vector<std::byte> Build() const;

 private:
  void Set(std::string_view key, const GgufBytes& value);

  std::vector<std::pair<std::string, GgufBytes>> metadata_;
};

}  // namespace mlad
