#include "model/weights_print.h"

#include <algorithm>

#include <xxhash.h>

#include "absl/types/span.h"

#include "base/status.h"

namespace mlad {
namespace {

constexpr int64_t kSampleBytes = 4096;

/// Numbers and bytes to one hash, in the order in which they come.
class Print {
 public:
  void Add(const void* data, size_t bytes) {
    hash_ = XXH3_64bits_withSeed(data, bytes, hash_);
  }
  void Add(int64_t number) { Add(&number, sizeof number); }
  uint64_t hash() const { return hash_; }

 private:
  uint64_t hash_ = 0;
};

}  // namespace

absl::StatusOr<uint64_t> PrintWeights(const GgufFile& file) {
  Print print;
  for (const auto& [name, tensor] : file.tensors()) {
    print.Add(name.data(), name.size());
    print.Add(static_cast<int64_t>(tensor.type));
    for (const int64_t size : tensor.shape) print.Add(size);
    const int64_t sample = std::min(kSampleBytes, tensor.bytes);
    for (const int64_t begin : {int64_t{0}, tensor.bytes - sample}) {
      const absl::Span<const std::byte> part(tensor.data + begin, sample);
      MLAD_RETURN_IF_ERROR(file.ReadIn(part));
      print.Add(part.data(), part.size());
    }
  }
  return print.hash();
}

}  // namespace mlad
