#include "model/gguf_writer.h"

#include <algorithm>

namespace mlad {

GgufBytes& GgufBytes::Append(const void* data, size_t size) {
  const std::byte* begin = static_cast<const std::byte*>(data);
  bytes_.insert(bytes_.end(), begin, begin + size);
  return *this;
}

GgufBytes& GgufBytes::Str(std::string_view text) {
  U64(text.size());
  return Append(text.data(), text.size());
}

GgufBytes& GgufBytes::PadTo(size_t alignment) {
  bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
  return *this;
}

void GgufWriter::Set(std::string_view key, const GgufBytes& value) {
  for (auto& [existing_key, existing_value] : metadata_) {
    if (existing_key == key) {
      existing_value = value;
      return;
    }
  }
  AddRaw(key, value);
}

void GgufWriter::AddRaw(std::string_view key, const GgufBytes& value) {
  metadata_.emplace_back(key, value);
}

void GgufWriter::Remove(std::string_view key) {
  std::erase_if(metadata_,
                [&](const auto& entry) { return entry.first == key; });
}

void GgufWriter::SetUint32(std::string_view key, uint32_t value) {
  Set(key, GgufBytes().Type(GgufTypeId::kUint32).U32(value));
}

void GgufWriter::SetInt32(std::string_view key, int32_t value) {
  Set(key, GgufBytes().Type(GgufTypeId::kInt32).I32(value));
}

void GgufWriter::SetUint16(std::string_view key, uint16_t value) {
  Set(key, GgufBytes().Type(GgufTypeId::kUint16).U16(value));
}

void GgufWriter::SetFloat32(std::string_view key, float value) {
  Set(key, GgufBytes().Type(GgufTypeId::kFloat32).F32(value));
}

void GgufWriter::SetBool(std::string_view key, bool value) {
  Set(key, GgufBytes().Type(GgufTypeId::kBool).U8(value ? 1 : 0));
}

void GgufWriter::SetString(std::string_view key, std::string_view value) {
  Set(key, GgufBytes().Type(GgufTypeId::kString).Str(value));
}

void GgufWriter::SetStrings(std::string_view key,
                            const std::vector<std::string>& values) {
  GgufBytes bytes;
  bytes.Type(GgufTypeId::kArray).Type(GgufTypeId::kString).U64(values.size());
  for (const std::string& value : values) bytes.Str(value);
  Set(key, bytes);
}

void GgufWriter::SetInt32s(std::string_view key,
                           const std::vector<int32_t>& values) {
  GgufBytes bytes;
  bytes.Type(GgufTypeId::kArray).Type(GgufTypeId::kInt32).U64(values.size());
  for (const int32_t value : values) bytes.I32(value);
  Set(key, bytes);
}

void GgufWriter::AddTensor(std::string_view name, TensorType type,
                           std::vector<uint64_t> shape,
                           std::vector<std::byte> data) {
  uint64_t end = 0;
  for (const Tensor& tensor : tensors) {
    end = std::max<uint64_t>(end, tensor.offset + tensor.data.size());
  }
  const uint64_t offset = (end + alignment - 1) / alignment * alignment;
  tensors.push_back({std::string(name), static_cast<uint32_t>(type),
                     std::move(shape), offset, std::move(data)});
}

GgufWriter::Tensor* GgufWriter::FindTensor(std::string_view name) {
  for (Tensor& tensor : tensors) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

void GgufWriter::RemoveTensor(std::string_view name) {
  std::erase_if(tensors, [&](const Tensor& t) { return t.name == name; });
}

std::vector<std::byte> GgufWriter::BuildHeader() const {
  GgufBytes out;
  out.U32(magic).U32(version).U64(tensors.size()).U64(metadata_.size());
  for (const auto& [key, value] : metadata_) {
    out.Str(key).Append(value.bytes().data(), value.size());
  }
  for (const Tensor& tensor : tensors) {
    out.Str(tensor.name).U32(static_cast<uint32_t>(tensor.shape.size()));
    for (const uint64_t dimension : tensor.shape) out.U64(dimension);
    out.U32(tensor.type).U64(tensor.offset);
  }
  return out.PadTo(alignment).bytes();
}

std::vector<std::byte> GgufWriter::Build() const {
  constexpr uint64_t kSaneOffset = uint64_t{64} << 20;
  std::vector<std::byte> file = BuildHeader();
  const size_t header_bytes = file.size();
  for (const Tensor& tensor : tensors) {
    if (tensor.offset > kSaneOffset) continue;
    const size_t begin = header_bytes + tensor.offset;
    file.resize(std::max(file.size(), begin + tensor.data.size()));
    std::copy(tensor.data.begin(), tensor.data.end(), file.begin() + begin);
  }
  return file;
}

}  // namespace mlad
