#include "model/gguf_tensors.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status.h"

namespace mlad {
namespace {

constexpr size_t kMaxNameBytes = 64;  // of the format
constexpr uint32_t kMaxDimensions = 4;
// The largest published model of the family has some 1,100 tensors.
constexpr uint64_t kMaxTensors = 1 << 20;
constexpr uint64_t kMaxBytes = std::numeric_limits<int64_t>::max();

struct TensorEntry {
  GgufTensor tensor;
  uint64_t offset = 0;  // from the start of the data section
};

absl::Status TensorError(const GgufTensor& tensor, const std::string& what) {
  return absl::InvalidArgumentError(
      absl::StrCat("the tensor ", QuotedForMessage(tensor.name), " ", what));
}

absl::Status ReadName(GgufCursor& cursor, uint64_t index, std::string& name) {
  std::string_view text;
  if (!cursor.ReadString(text)) {
    return GgufTruncatedError(absl::StrCat("the name of tensor ", index));
  }
  if (text.empty() || text.size() > kMaxNameBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor ", index, " has a name of ", text.size(),
                     " bytes instead of 1 to ", kMaxNameBytes,
                     "; the file is damaged, download or convert it again"));
  }
  name = text;
  return absl::OkStatus();
}

absl::Status ReadShape(GgufCursor& cursor, GgufTensor& tensor) {
  const std::string entry =
      absl::StrCat("the entry of tensor ", QuotedForMessage(tensor.name));
  uint32_t dimensions = 0;
  if (!cursor.Read(dimensions)) return GgufTruncatedError(entry);
  if (dimensions < 1 || dimensions > kMaxDimensions) {
    return TensorError(
        tensor, absl::StrCat("has ", dimensions, " dimensions instead of 1 to ",
                             kMaxDimensions,
                             "; the file is damaged, download "
                             "or convert it again"));
  }
  for (uint32_t d = 0; d < dimensions; ++d) {
    uint64_t size = 0;
    if (!cursor.Read(size)) return GgufTruncatedError(entry);
    if (size == 0 || size > kMaxBytes) {
      return TensorError(
          tensor, absl::StrCat("has the size ", size, " in dimension ", d,
                               "; the file is damaged, download "
                               "or convert it again"));
    }
    tensor.shape.push_back(static_cast<int64_t>(size));
  }
  return absl::OkStatus();
}

/// Sets type and bytes from the type id and the shape.
absl::Status SetType(uint32_t type_id, GgufTensor& tensor) {
  const absl::StatusOr<TensorTypeInfo> type = FindTensorType(type_id);
  if (!type.ok()) {
    return absl::Status(
        type.status().code(),
        absl::StrCat("the tensor ", QuotedForMessage(tensor.name), ": ",
                     type.status().message()));
  }
  tensor.type = type->type;
  if (tensor.shape[0] % type->block_elements != 0) {
    return TensorError(
        tensor,
        absl::StrCat("has rows of ", tensor.shape[0],
                     " elements, not a multiple of the ", type->block_elements,
                     " of a ",
                     absl::string_view(type->name.data(), type->name.size()),
                     " block; convert it to another type"));
  }
  int64_t bytes = tensor.shape[0] / type->block_elements;
  bool overflow = __builtin_mul_overflow(bytes, type->block_bytes, &bytes);
  int64_t elements = tensor.shape[0];
  for (size_t d = 1; d < tensor.shape.size(); ++d) {
    overflow |= __builtin_mul_overflow(bytes, tensor.shape[d], &bytes);
    overflow |= __builtin_mul_overflow(elements, tensor.shape[d], &elements);
  }
  if (overflow) {
    return TensorError(tensor,
                       "has more elements than 64 bits can count; the file is "
                       "damaged, download or convert it again");
  }
  tensor.bytes = bytes;
  return absl::OkStatus();
}

absl::Status ReadEntry(GgufCursor& cursor, uint64_t index, uint64_t alignment,
                       TensorEntry& entry) {
  GgufTensor& tensor = entry.tensor;
  MLAD_RETURN_IF_ERROR(ReadName(cursor, index, tensor.name));
  MLAD_RETURN_IF_ERROR(ReadShape(cursor, tensor));
  uint32_t type_id = 0;
  if (!cursor.Read(type_id) || !cursor.Read(entry.offset)) {
    return GgufTruncatedError(
        absl::StrCat("the entry of tensor ", QuotedForMessage(tensor.name)));
  }
  MLAD_RETURN_IF_ERROR(SetType(type_id, tensor));
  if (entry.offset % alignment != 0) {
    return TensorError(
        tensor, absl::StrCat("begins at offset ", entry.offset,
                             ", not a multiple of the file's alignment of ",
                             alignment, "; convert the model again"));
  }
  if (entry.offset > kMaxBytes - static_cast<uint64_t>(tensor.bytes)) {
    return TensorError(
        tensor, absl::StrCat("begins at the impossible offset ", entry.offset,
                             "; the file is damaged, download or convert it "
                             "again"));
  }
  return absl::OkStatus();
}

absl::Status CheckNoOverlap(const std::vector<TensorEntry>& entries) {
  std::vector<const TensorEntry*> by_offset;
  by_offset.reserve(entries.size());
  for (const TensorEntry& entry : entries) by_offset.push_back(&entry);
  std::sort(by_offset.begin(), by_offset.end(),
            [](const TensorEntry* a, const TensorEntry* b) {
              return a->offset < b->offset;
            });
  for (size_t i = 1; i < by_offset.size(); ++i) {
    const TensorEntry& before = *by_offset[i - 1];
    const TensorEntry& entry = *by_offset[i];
    if (before.offset + static_cast<uint64_t>(before.tensor.bytes) >
        entry.offset) {
      return TensorError(
          before.tensor,
          absl::StrCat("overlaps the tensor ",
                       QuotedForMessage(entry.tensor.name),
                       "; the file is damaged, download or convert it again"));
    }
  }
  return absl::OkStatus();
}

/// Points the tensors into the data section, which begins at `data_begin`.
absl::Status SetDataPointers(absl::Span<const std::byte> file,
                             uint64_t data_begin,
                             std::vector<TensorEntry>& entries) {
  const uint64_t data_bytes =
      data_begin < file.size() ? file.size() - data_begin : 0;
  for (TensorEntry& entry : entries) {
    const uint64_t end =
        entry.offset + static_cast<uint64_t>(entry.tensor.bytes);
    if (end > data_bytes) {
      return TensorError(
          entry.tensor,
          absl::StrCat("ends at byte ", data_begin + end,
                       " but the file has only ", file.size(),
                       "; it is truncated, download or convert it again"));
    }
    entry.tensor.data = file.data() + data_begin + entry.offset;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadGgufTensors(GgufCursor& cursor,
                             const GgufTensorSection& section,
                             GgufTensors& tensors) {
  if (section.count > kMaxTensors) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the file claims ", section.count, " tensors, more than the ",
        kMaxTensors, " mlad accepts; it is damaged, download it again"));
  }
  std::vector<TensorEntry> entries;
  for (uint64_t i = 0; i < section.count; ++i) {
    MLAD_RETURN_IF_ERROR(
        ReadEntry(cursor, i, section.alignment, entries.emplace_back()));
  }
  MLAD_RETURN_IF_ERROR(CheckNoOverlap(entries));
  if (!section.header_only) {
    const uint64_t data_begin = (cursor.position() + section.alignment - 1) /
                                section.alignment * section.alignment;
    MLAD_RETURN_IF_ERROR(SetDataPointers(section.file, data_begin, entries));
  }
  for (TensorEntry& entry : entries) {
    const std::string name = entry.tensor.name;
    if (!tensors.try_emplace(name, std::move(entry.tensor)).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("the tensor ", QuotedForMessage(name),
                       " appears twice; convert the model again"));
    }
  }
  return absl::OkStatus();
}

}  // namespace mlad
