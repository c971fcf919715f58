// A file mapped read-only into memory.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace mlad {

class MappedFile {
 public:
  /// Maps the whole of `path`.
  /// Errors: kNotFound, kPermissionDenied, kInvalidArgument (a folder, a device
  /// or an empty file), kInternal for what else the system reports; all name
  /// the path.
  static absl::StatusOr<std::unique_ptr<MappedFile>> Open(
      const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  absl::Span<const std::byte> bytes() const { return bytes_; }

  /// Tells this file, as it was when it was opened, from others and from what
  /// it becomes when somebody writes to it: by device, inode, size and times.
  uint64_t fingerprint() const { return fingerprint_; }

  /// Reads `part` of bytes() from the disk in large pieces, so that touching it
  /// waits for nothing and finds what is no longer there as an error here
  /// instead of a SIGBUS.
  /// Errors: kDataLoss naming the path. Kernels before 5.14 report none.
  absl::Status ReadIn(absl::Span<const std::byte> part) const;

  /// Gives the pages within `part` of bytes() back to the system, or those of
  /// the whole file. They are read again from the disk when touched, so
  /// pointers into bytes() stay valid.
  void DropPageCache(absl::Span<const std::byte> part) const;
  void DropPageCache() const { DropPageCache(bytes_); }

 private:
  MappedFile(std::string path, int descriptor,
             absl::Span<const std::byte> bytes, uint64_t fingerprint)
      : path_(std::move(path)),
        descriptor_(descriptor),
        bytes_(bytes),
        fingerprint_(fingerprint) {}

  mutable std::atomic<bool> asks_ahead_{false};
  std::string path_;
  int descriptor_;
  absl::Span<const std::byte> bytes_;
  uint64_t fingerprint_;
};

}  // namespace mlad
