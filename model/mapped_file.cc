#include "model/mapped_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "absl/strings/str_cat.h"

namespace mlad {
namespace {

/// What the kernel reads on one piece of advice is bounded by the disk's
/// setting, mostly 128 KiB; pieces below it are read in full.
constexpr size_t kReadAheadBytes = 64 << 10;

absl::Status OpenError(const std::string& path, int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(
          absl::StrCat("there is no file '", path, "'; check the path"));
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(
          absl::StrCat("the file '", path,
                       "' may not be read by this user; change its "
                       "permissions or the user"));
    default:
      return absl::InternalError(absl::StrCat(
          "the file '", path, "' cannot be opened: ", std::strerror(error)));
  }
}

/// Closes the descriptor unless Release() is called.
class ScopedDescriptor {
 public:
  explicit ScopedDescriptor(int descriptor) : descriptor_(descriptor) {}
  ~ScopedDescriptor() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  ScopedDescriptor(const ScopedDescriptor&) = delete;
  ScopedDescriptor& operator=(const ScopedDescriptor&) = delete;

  int get() const { return descriptor_; }
  int Release() {
    const int descriptor = descriptor_;
    descriptor_ = -1;
    return descriptor;
  }

 private:
  int descriptor_;
};

uint64_t Fingerprint(const struct stat& file) {
  const std::array<uint64_t, 7> facts = {
      static_cast<uint64_t>(file.st_dev),
      static_cast<uint64_t>(file.st_ino),
      static_cast<uint64_t>(file.st_size),
      static_cast<uint64_t>(file.st_mtim.tv_sec),
      static_cast<uint64_t>(file.st_mtim.tv_nsec),
      static_cast<uint64_t>(file.st_ctim.tv_sec),
      static_cast<uint64_t>(file.st_ctim.tv_nsec)};
  return XXH3_64bits(facts.data(), sizeof facts);
}

}  // namespace

absl::StatusOr<std::unique_ptr<MappedFile>> MappedFile::Open(
    const std::string& path) {
  // O_NONBLOCK: opening a named pipe must not wait for its writer.
  ScopedDescriptor descriptor(
      open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (descriptor.get() < 0) return OpenError(path, errno);

  struct stat status {};
  if (fstat(descriptor.get(), &status) != 0) return OpenError(path, errno);
  if (S_ISDIR(status.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", path, "' is a folder; give the path of a GGUF file in it"));
  }
  if (!S_ISREG(status.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", path, "' is not a regular file; give the path of a GGUF file"));
  }
  if (status.st_size == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the file '", path, "' is empty; download or convert it again"));
  }
  const size_t size = static_cast<size_t>(status.st_size);
  void* address =
      mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor.get(), 0);
  if (address == MAP_FAILED) {
    return absl::InternalError(
        absl::StrCat("the file '", path, "' of ", size,
                     " bytes cannot be mapped: ", std::strerror(errno)));
  }
  return std::unique_ptr<MappedFile>(new MappedFile(
      path, descriptor.Release(),
      absl::MakeConstSpan(static_cast<const std::byte*>(address), size),
      Fingerprint(status)));
}

MappedFile::~MappedFile() {
  munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  close(descriptor_);
}

absl::Status MappedFile::ReadIn(absl::Span<const std::byte> part) const {
  if (part.empty()) return absl::OkStatus();
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  std::byte* const begin = const_cast<std::byte*>(part.data()) -
                           reinterpret_cast<uintptr_t>(part.data()) % page;
  const size_t bytes = part.data() + part.size() - begin;
  // Only what is asked for: reading ahead of faults would bring back parts that
  // have been dropped already.
  if (!asks_ahead_.exchange(true)) {
    madvise(const_cast<std::byte*>(bytes_.data()), bytes_.size(), MADV_RANDOM);
  }
  for (size_t done = 0; done < bytes; done += kReadAheadBytes) {
    madvise(begin + done, std::min(kReadAheadBytes, bytes - done),
            MADV_WILLNEED);
  }
  // And now wait until it is there.
  while (madvise(begin, bytes, MADV_POPULATE_READ) != 0) {
    const int error = errno;
    if (error == EINTR || error == EAGAIN) continue;
    if (error != EFAULT && error != EHWPOISON && error != EIO) break;
    return absl::DataLossError(absl::StrCat(
        "bytes ", part.data() - bytes_.data(), " to ",
        part.data() + part.size() - bytes_.data(), " of '", path_,
        "' can no longer be read: the file was cut short while it was loaded, "
        "or its disk fails; check the disk and copy the file again"));
  }
  return absl::OkStatus();
}

void MappedFile::DropPageCache(absl::Span<const std::byte> part) const {
  const int64_t page = sysconf(_SC_PAGESIZE);
  const int64_t begin = (part.data() - bytes_.data() + page - 1) / page * page;
  const bool to_the_end =
      part.data() + part.size() == bytes_.data() + bytes_.size();
  const int64_t last = part.data() + part.size() - bytes_.data();
  const int64_t end = to_the_end ? last : last / page * page;
  if (end <= begin) return;
  // The advice to the file skips pages that are still mapped somewhere, so
  // they leave this process's page table first. Both are advice: no error
  // matters.
  madvise(const_cast<std::byte*>(bytes_.data()) + begin, end - begin,
          MADV_DONTNEED);
  posix_fadvise(descriptor_, begin, to_the_end ? 0 : end - begin,
                POSIX_FADV_DONTNEED);
}

}  // namespace mlad
