#include "quant/tensor_type.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "base/check.h"

namespace mlad {
namespace {

constexpr TensorTypeInfo kTypes[] = {
    {TensorType::kF32, "F32", 1, 4},
    {TensorType::kF16, "F16", 1, 2},
    {TensorType::kBF16, "BF16", 1, 2},
    {TensorType::kQ4_0, "Q4_0", 32, 18},
    {TensorType::kQ4_1, "Q4_1", 32, 20},
    {TensorType::kQ5_0, "Q5_0", 32, 22},
    {TensorType::kQ5_1, "Q5_1", 32, 24},
    {TensorType::kQ8_0, "Q8_0", 32, 34},
    {TensorType::kQ2_K, "Q2_K", 256, 84},
    {TensorType::kQ3_K, "Q3_K", 256, 110},
    {TensorType::kQ4_K, "Q4_K", 256, 144},
    {TensorType::kQ5_K, "Q5_K", 256, 176},
    {TensorType::kQ6_K, "Q6_K", 256, 210},
    {TensorType::kIQ4_NL, "IQ4_NL", 32, 18},
    {TensorType::kIQ4_XS, "IQ4_XS", 256, 136},
    {TensorType::kIQ1_S, "IQ1_S", 256, 50},
    {TensorType::kIQ1_M, "IQ1_M", 256, 56},
    {TensorType::kIQ2_XXS, "IQ2_XXS", 256, 66},
    {TensorType::kIQ2_XS, "IQ2_XS", 256, 74},
    {TensorType::kIQ2_S, "IQ2_S", 256, 82},
    {TensorType::kIQ3_XXS, "IQ3_XXS", 256, 98},
    {TensorType::kIQ3_S, "IQ3_S", 256, 110},
    {TensorType::kMXFP4, "MXFP4", 32, 17},
};

struct KnownType {
  uint32_t id;
  const char* name;
};

// Types of the file format that mlad cannot compute with.
constexpr KnownType kUnsupportedTypes[] = {
    {4, "Q4_2"},        {5, "Q4_3"},        {9, "Q8_1"},
    {15, "Q8_K"},       {24, "I8"},         {25, "I16"},
    {26, "I32"},        {27, "I64"},        {28, "F64"},
    {31, "Q4_0_4_4"},   {32, "Q4_0_4_8"},   {33, "Q4_0_8_8"},
    {34, "TQ1_0"},      {35, "TQ2_0"},      {36, "IQ4_NL_4_4"},
    {37, "IQ4_NL_4_8"}, {38, "IQ4_NL_8_8"}, {40, "NVFP4"},
    {41, "Q1_0"},       {42, "Q2_0"},
};

const TensorTypeInfo* Find(uint32_t id) {
  for (const TensorTypeInfo& info : kTypes) {
    if (static_cast<uint32_t>(info.type) == id) return &info;
  }
  return nullptr;
}

std::string SupportedNames() {
  std::string names;
  for (const TensorTypeInfo& info : kTypes) {
    absl::StrAppend(&names, names.empty() ? "" : ", ", std::string(info.name));
  }
  return names;
}

}  // namespace

absl::StatusOr<TensorTypeInfo> FindTensorType(uint32_t id) {
  if (const TensorTypeInfo* info = Find(id)) return *info;
  for (const KnownType& known : kUnsupportedTypes) {
    if (known.id != id) continue;
    return absl::UnimplementedError(
        absl::StrCat("tensor type ", known.name,
                     " is not supported: use a file whose tensors are of the "
                     "types ",
                     SupportedNames()));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no tensor type has the number ", id,
                   ": the file is damaged, or newer than this program"));
}

const TensorTypeInfo& GetTensorType(TensorType type) {
  const TensorTypeInfo* info = Find(static_cast<uint32_t>(type));
  MLAD_CHECK(info != nullptr);
  return *info;
}

int64_t TensorRowBytes(TensorType type, int64_t elements) {
  const TensorTypeInfo& info = GetTensorType(type);
  MLAD_DCHECK(elements % info.block_elements == 0);
  return elements / info.block_elements * info.block_bytes;
}

}  // namespace mlad
