// Any bytes as a GGUF file: the reader and the hyperparameters refuse it or
// give what their headers promise.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "model/gguf_file.h"
#include "model/hyperparameters.h"
#include "model/model_tensors.h"
#include "quant/packed_matrix.h"

namespace mlad {
namespace {

void CheckTensors(const GgufFile& file, absl::Span<const std::byte> bytes) {
  for (const auto& [name, tensor] : file.tensors()) {
    MLAD_CHECK(name == tensor.name);
    MLAD_CHECK(!tensor.shape.empty() && tensor.shape.size() <= 4);
    MLAD_CHECK(tensor.bytes ==
               tensor.rows() * TensorRowBytes(tensor.type, tensor.shape[0]));
    MLAD_CHECK(tensor.data >= bytes.data());
    MLAD_CHECK(tensor.data - bytes.data() + tensor.bytes <=
               static_cast<int64_t>(bytes.size()));
  }
}

/// Every typed access is a value or an error.
void ReadAllKeys(const GgufFile& file) {
  for (const auto& [key, value] : file.metadata()) {
    const int readable = file.GetInt(key).ok() + file.GetFloat(key).ok() +
                         file.GetBool(key).ok() + file.GetString(key).ok();
    MLAD_CHECK(readable <= 1);
  }
}

/// Where hyperparameters are read, every tensor that is needed is there, with
/// rows that the kernels can compute with.
void CheckModel(const GgufFile& file) {
  const absl::StatusOr<Hyperparameters> shape = ReadHyperparameters(file);
  if (!shape.ok()) return;
  for (const ModelTensor& wanted : ListModelTensors(file, *shape)) {
    const GgufTensor* tensor = file.FindTensor(wanted.name);
    MLAD_CHECK(tensor != nullptr);
    MLAD_CHECK(tensor->shape[0] == wanted.shape[0]);
    if (wanted.shape.size() == 1) continue;
    MLAD_CHECK(tensor->shape[0] % kQuantBlock == 0);
    int64_t rows = 1;
    for (size_t d = 1; d < wanted.shape.size(); ++d) rows *= wanted.shape[d];
    MLAD_CHECK(tensor->rows() == rows);
  }
}

}  // namespace
}  // namespace mlad

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::Span<const std::byte> bytes(
      reinterpret_cast<const std::byte*>(data), size);
  const auto whole = mlad::GgufFile::Parse(bytes, {});
  if (whole.ok()) {
    mlad::CheckTensors(**whole, bytes);
    mlad::ReadAllKeys(**whole);
  }
  const auto header = mlad::GgufFile::Parse(bytes, {.header_only = true});
  MLAD_CHECK(header.ok() || !whole.ok());
  if (header.ok()) mlad::CheckModel(**header);
  return 0;
}
