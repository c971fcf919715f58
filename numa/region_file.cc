// Regions in files in memory, which outlive the process.
#include <cerrno>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/status.h"
#include "numa/format_bytes.h"
#include "numa/node_memory.h"

namespace mlad {
namespace {

// With these a file cannot lose the pages that somebody has mapped.
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

}  // namespace

absl::Status NodeRegion::MakeFile(unsigned flags) {
  descriptor_ = memfd_create(("mlad " + purpose_).c_str(),
                             MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
  if (descriptor_ < 0 || ftruncate(descriptor_, mapped_bytes_) != 0 ||
      fcntl(descriptor_, F_ADD_SEALS, kSeals) != 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the kernel makes no file in memory for ", purpose_,
                     " of ", FormatBytes(bytes_), ": ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

absl::Status NodeRegion::MapFile() {
  if (mmap(data_, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
           descriptor_, 0) == MAP_FAILED) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the kernel does not map the file in memory of ", purpose_,
                     ", ", FormatBytes(bytes_), ": ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

absl::StatusOr<NodeRegion> NodeRegion::Attach(const Topology& topology,
                                              int node, int64_t bytes,
                                              std::string_view purpose,
                                              int descriptor) {
  MLAD_CHECK(node >= 0 && node < topology.node_count() && bytes > 0);
  NodeRegion region;
  region.descriptor_ = descriptor;
  region.bytes_ = bytes;
  region.node_ = node;
  region.purpose_ = std::string(purpose);
  region.os_node_ = topology.nodes()[node].os_index;
  region.page_bytes_ = sysconf(_SC_PAGESIZE);
  struct stat file {};
  struct statfs system {};
  if (fstat(descriptor, &file) != 0 || fstatfs(descriptor, &system) != 0 ||
      file.st_size < bytes || fcntl(descriptor, F_GET_SEALS) != kSeals) {
    return absl::DataLossError(absl::StrCat(
        "what is kept for ", region.purpose_, " is not the sealed file of ",
        FormatBytes(bytes), " that was stored"));
  }
  if (system.f_type == HUGETLBFS_MAGIC) region.page_bytes_ = system.f_bsize;
  region.mapped_bytes_ = file.st_size;
  MLAD_RETURN_IF_ERROR(region.Map());
  MLAD_RETURN_IF_ERROR(region.Bind(topology));
  return region;
}

}  // namespace mlad
