// Reader of GGUF files, v2 and v3, single or split, little endian.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "quant/tensor_type.h"

namespace mlad {

class MappedFile;

struct GgufArray;
using GgufValue = std::variant<uint64_t, int64_t, double, bool, std::string,
                               GgufArray>;  // integers widened

/// An array of scalars or strings. Arrays of arrays are refused.
struct GgufArray {
  std::variant<std::vector<uint64_t>, std::vector<int64_t>, std::vector<double>,
               std::vector<bool>, std::vector<std::string>>
      values;
};

struct GgufTensor {
  std::string name;
  TensorType type = TensorType::kF32;
  std::vector<int64_t> shape;       // ne: fastest dimension first, 1 to 4
  const std::byte* data = nullptr;  // in the mapped file; null if header only
  int64_t bytes = 0;

  int64_t rows() const;  // product of all but the first dimension
};

class GgufFile {
 public:
  struct Options {
    bool header_only = false;  // do not require the tensor data to be present
  };
  /// Opens `path` and, when it is the first part of a split model, its
  /// siblings. Every length, offset, count, type, alignment and name is
  /// checked. Errors: kNotFound, kInvalidArgument (malformed), kUnimplemented
  /// (version or tensor type mlad does not know, naming it), each with one
  /// sentence.
  static absl::StatusOr<std::unique_ptr<GgufFile>> Open(const std::string& path,
                                                        const Options& options);
  /// Parses one file's bytes (fuzzing, tests); `data` must outlive the result.
  static absl::StatusOr<std::unique_ptr<GgufFile>> Parse(
      absl::Span<const std::byte> data, const Options& options);
  ~GgufFile();

  const std::map<std::string, GgufValue, std::less<>>& metadata() const;
  const std::map<std::string, GgufTensor, std::less<>>& tensors() const;
  /// Null when there is no such key or tensor.
  const GgufValue* FindValue(std::string_view key) const;
  const GgufTensor* FindTensor(std::string_view name) const;

  /// Typed access. Errors: kNotFound when missing, kInvalidArgument when the
  /// value has another type or does not fit; both name the key.
  absl::StatusOr<int64_t> GetInt(std::string_view key) const;
  absl::StatusOr<double> GetFloat(std::string_view key) const;
  absl::StatusOr<bool> GetBool(std::string_view key) const;
  absl::StatusOr<std::string> GetString(std::string_view key) const;

  /// Tells an opened model from others and from what it becomes when one of its
  /// files changes: by the files' fingerprints and the bytes before the first
  /// tensor (metadata, vocabulary, names and shapes). Reads no tensor.
  uint64_t Fingerprint() const;

  /// As MappedFile's, for part of a tensor's data. Bytes that were parsed and
  /// not opened stay as they are.
  absl::Status ReadIn(absl::Span<const std::byte> part) const;
  void DropPageCache(absl::Span<const std::byte> part) const;
  /// Drops the page cache of all files.
  void DropPageCache() const;

 private:
  GgufFile();
  /// One file's bytes, whatever it says about being a part.
  static absl::StatusOr<std::unique_ptr<GgufFile>> ParsePart(
      absl::Span<const std::byte> data, const Options& options);
  static absl::StatusOr<std::unique_ptr<GgufFile>> OpenPart(
      const std::string& path, const Options& options);
  /// Opens the siblings of the first part at `path` and takes their tensors.
  absl::Status AddOtherParts(const std::string& path, const Options& options);
  absl::Status AddPart(std::unique_ptr<GgufFile> part);

  /// The file that `part` is mapped from; null for bytes that were parsed.
  const MappedFile* FileOf(absl::Span<const std::byte> part) const;

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlad
