// A file mapped read-only into memory.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

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

  /// Gives the file's pages back to the system. They are read again from the
  /// disk when touched, so pointers into bytes() stay valid.
  void DropPageCache() const;

 private:
  MappedFile(int descriptor, absl::Span<const std::byte> bytes)
      : descriptor_(descriptor), bytes_(bytes) {}

  int descriptor_;
  absl::Span<const std::byte> bytes_;
};

}  // namespace mlad
