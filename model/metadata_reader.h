// Reads one architecture's keys out of a GGUF file, with their bounds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"

#include "model/gguf_file.h"

namespace mlad {

template <typename T>
struct Bounds {
  T min;
  T max;
};

/// Keeps the first error and reads nothing after it: read all keys, then look
/// at status(). Keys are given without the architecture's prefix.
/// Errors: kInvalidArgument naming the key that is missing, of another type or
/// out of bounds.
class MetadataReader {
 public:
  /// `prefix`: "deepseek2."; both outlive the reader.
  MetadataReader(const GgufFile& file, std::string_view prefix)
      : file_(file), prefix_(prefix) {}

  bool Has(std::string_view key) const;
  std::string FullKey(std::string_view key) const;

  void Required(std::string_view key, Bounds<int64_t> bounds, int64_t& out);
  void Required(std::string_view key, Bounds<double> bounds, double& out);
  /// A missing key leaves `out` as it is.
  void Optional(std::string_view key, Bounds<int64_t> bounds, int64_t& out);
  void Optional(std::string_view key, Bounds<double> bounds, double& out);
  void Optional(std::string_view key, bool& out);
  void Optional(std::string_view key, std::string& out);

  /// Records an error unless there is one.
  void Fail(const absl::Status& status);
  const absl::Status& status() const { return status_; }

 private:
  template <typename T>
  void Store(std::string_view key, const absl::StatusOr<T>& value,
             Bounds<T> bounds, T& out);

  const GgufFile& file_;
  std::string_view prefix_;
  absl::Status status_;
};

}  // namespace mlad
