#include "numa/node_memory.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <hwloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/check.h"
#include "base/round_up.h"
#include "base/status.h"
#include "numa/format_bytes.h"
#include "numa/free_memory.h"
#include "numa/memory_ledger.h"
#include "numa/thread_binding.h"
#include "numa/work_range.h"

namespace mlad {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kGiB = int64_t{1} << 30;
constexpr int64_t kThpBytes = 2 * kMiB;

int64_t BasePageBytes() { return sysconf(_SC_PAGESIZE); }

absl::string_view View(std::string_view text) {
  return {text.data(), text.size()};
}

/// One memory node: wherever memory lands, it is at home.
bool OnlyOneHome(const Topology& topology) {
  return topology.real_node_count() == 1;
}

/// " (node 1 has 2.0 GiB free)", one node a clause; empty without others.
std::string RoomElsewhere(const Topology& topology, int os_node) {
  const FreeMemory memory;
  std::map<int, int64_t> free_bytes;
  for (const NodeDescription& node : topology.nodes()) {
    if (node.os_index == os_node) continue;
    free_bytes[node.os_index] = memory.NodeBytes(node.os_index).value_or(0);
  }
  std::vector<std::string> clauses;
  for (const auto& [other, bytes] : free_bytes) {
    clauses.push_back(
        absl::StrCat("node ", other, " has ", FormatBytes(bytes), " free"));
  }
  return clauses.empty()
             ? ""
             : absl::StrCat(" (", absl::StrJoin(clauses, ", "), ")");
}

/// Touches every page, several threads on the node's CPUs at once: zeroing is
/// what takes the time. Returns 0 or the errno of what failed: ENOMEM or EFAULT
/// without memory, EINVAL where the kernel cannot do it.
int TouchPages(const Topology& topology, int node, std::byte* data,
               int64_t bytes, int64_t page_bytes) {
  const std::vector<int>& cpus = topology.nodes()[node].cpus;
  const int64_t pages = bytes / page_bytes;
  const int threads = static_cast<int>(std::min<int64_t>(
      {8, static_cast<int64_t>(cpus.size()), 1 + bytes / kGiB, pages}));
  std::atomic<int> error{0};
  const auto populate = [&](int index) {
    const WorkRange range = SplitEvenly(pages, threads, index);
    if (madvise(data + range.begin * page_bytes, range.size() * page_bytes,
                MADV_POPULATE_WRITE) != 0) {
      error = errno;
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) {
    others.emplace_back([&, i] {
      const ScopedThreadBinding here(topology.handle(), cpus);
      populate(i);
    });
  }
  populate(0);
  for (std::thread& thread : others) thread.join();
  return error;
}

}  // namespace

absl::StatusOr<NodeRegion> NodeRegion::Allocate(const Topology& topology,
                                                int node, int64_t bytes,
                                                std::string_view purpose,
                                                Backing backing) {
  MLAD_CHECK(node >= 0 && node < topology.node_count() && bytes >= 0);
  NodeRegion region;
  region.bytes_ = bytes;
  region.node_ = node;
  region.purpose_ = std::string(purpose);
  region.os_node_ = topology.nodes()[node].os_index;
  region.page_bytes_ = BasePageBytes();
  if (bytes == 0) return region;
  if (!topology.is_this_machine()) {
    return absl::FailedPreconditionError(
        absl::StrCat("no memory can be had for ", View(purpose),
                     ": the topology is not this machine's"));
  }
  const int64_t unit = bytes >= kThpBytes ? kThpBytes : region.page_bytes_;
  region.mapped_bytes_ = RoundUp(bytes, unit);
  for (int64_t huge : {kGiB, 2 * kMiB}) {
    if (region.MapFromPool(topology, huge, backing)) return region;
  }
  MLAD_RETURN_IF_ERROR(region.Reserve(topology));
  if (backing == Backing::kFile) MLAD_RETURN_IF_ERROR(region.MakeFile(0));
  MLAD_RETURN_IF_ERROR(region.Map());
  MLAD_RETURN_IF_ERROR(region.Bind(topology));
  return region;
}

bool NodeRegion::MapFromPool(const Topology& topology, int64_t huge_page_bytes,
                             Backing backing) {
  const int64_t pages = RoundUp(bytes_, huge_page_bytes) / huge_page_bytes;
  // Not worth rounding a small region up to a huge page.
  if (bytes_ < huge_page_bytes ||
      FreeMemory().FreeHugePages(os_node_, huge_page_bytes) < pages) {
    return false;
  }
  const int size_bits = __builtin_ctzll(huge_page_bytes);
  NodeRegion pool;
  pool.bytes_ = bytes_;
  pool.mapped_bytes_ = pages * huge_page_bytes;
  pool.page_bytes_ = huge_page_bytes;
  pool.purpose_ = purpose_;
  pool.node_ = node_;
  pool.os_node_ = os_node_;
  int flags =
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (size_bits << MAP_HUGE_SHIFT);
  if (backing == Backing::kFile) {
    flags = MAP_SHARED;
    if (!pool.MakeFile(MFD_HUGETLB |
                       (static_cast<unsigned>(size_bits) << MAP_HUGE_SHIFT))
             .ok()) {
      return false;
    }
  }
  void* data = mmap(nullptr, pool.mapped_bytes_, PROT_READ | PROT_WRITE, flags,
                    pool.descriptor_, 0);
  if (data == MAP_FAILED) return false;
  pool.data_ = static_cast<std::byte*>(data);
  // mmap reserves of all nodes' pools together. Were this node's taken by
  // another program meanwhile, a touch would be a SIGBUS: touch it here, where
  // that is an error.
  if (!pool.Bind(topology).ok() ||
      TouchPages(topology, node_, pool.data_, pool.mapped_bytes_,
                 huge_page_bytes) != 0) {
    return false;
  }
  *this = std::move(pool);
  return true;
}

absl::Status NodeRegion::Reserve(const Topology& topology) {
  const FreeMemory memory;
  const std::optional<int64_t> free_bytes = topology.one_node_machine()
                                                ? memory.MachineBytes()
                                                : memory.NodeBytes(os_node_);
  // A bound page that does not fit ends in the out-of-memory killer: look
  // first.
  const int64_t missing = topology.memory_ledger()->Reserve(
      os_node_, mapped_bytes_, free_bytes.value_or(mapped_bytes_));
  if (missing > 0) {
    return absl::ResourceExhaustedError(absl::StrCat(
        FormatBytes(mapped_bytes_), " for ", purpose_,
        " are needed on NUMA node ", os_node_, ", where ", FormatBytes(missing),
        " are missing", RoomElsewhere(topology, os_node_),
        "; free memory there, or use more nodes or a smaller context"));
  }
  ledger_ = topology.memory_ledger();
  return absl::OkStatus();
}

absl::Status NodeRegion::Map() {
  // Over-allocate to align, then give the ends back.
  const int64_t alignment = mapped_bytes_ >= kThpBytes
                                ? std::max(kThpBytes, page_bytes_)
                                : page_bytes_;
  const int64_t asked = mapped_bytes_ + alignment - BasePageBytes();
  void* raw = mmap(nullptr, asked, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the kernel gives no address space for ", purpose_, " of ",
                     FormatBytes(bytes_), ": ", std::strerror(errno),
                     "; raise the limit (ulimit -v)"));
  }
  const int64_t begin = reinterpret_cast<intptr_t>(raw);
  const int64_t aligned = RoundUp(begin, alignment);
  data_ = static_cast<std::byte*>(raw) + (aligned - begin);
  if (aligned > begin) munmap(raw, aligned - begin);
  const int64_t tail = begin + asked - (aligned + mapped_bytes_);
  if (tail > 0) munmap(data_ + mapped_bytes_, tail);
  if (descriptor_ >= 0) MLAD_RETURN_IF_ERROR(MapFile());
  if (mapped_bytes_ >= kThpBytes) {
    // Kernels without transparent huge pages refuse; small pages work too.
    madvise(data_, mapped_bytes_, MADV_HUGEPAGE);
  }
  return absl::OkStatus();
}

absl::Status NodeRegion::Bind(const Topology& topology) const {
  const hwloc_obj_t home = hwloc_get_numanode_obj_by_os_index(
      topology.handle(), static_cast<unsigned>(os_node_));
  MLAD_CHECK(home != nullptr);
  if (hwloc_set_area_membind(topology.handle(), data_, mapped_bytes_,
                             home->nodeset, HWLOC_MEMBIND_BIND,
                             HWLOC_MEMBIND_BYNODESET | HWLOC_MEMBIND_STRICT) ==
          0 ||
      OnlyOneHome(topology)) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "cannot bind ", purpose_, " (", FormatBytes(bytes_), ") to NUMA node ",
      os_node_, ": ", std::strerror(errno),
      "; containers need the capability SYS_NICE for mbind, and the node in "
      "cpuset.mems"));
}

absl::Status NodeRegion::Populate(const Topology& topology) const {
  if (data_ == nullptr) return absl::OkStatus();
  const int error =
      TouchPages(topology, node_, data_, mapped_bytes_, page_bytes_);
  if (error == 0 || error == EINVAL) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "NUMA node ", os_node_, " ran out of memory for ", purpose_, " (",
      FormatBytes(bytes_), "): ", std::strerror(error),
      "; free memory there, or use more nodes or a smaller context"));
}

void NodeRegion::Unmap() {
  if (data_ != nullptr) munmap(data_, mapped_bytes_);
  if (descriptor_ >= 0) close(descriptor_);
  descriptor_ = -1;
  if (ledger_ != nullptr) ledger_->Release(os_node_, mapped_bytes_);
  data_ = nullptr;
  ledger_ = nullptr;
  bytes_ = mapped_bytes_ = 0;
}

NodeRegion::~NodeRegion() { Unmap(); }

NodeRegion::NodeRegion(NodeRegion&& other) noexcept {
  *this = std::move(other);
}

NodeRegion& NodeRegion::operator=(NodeRegion&& other) noexcept {
  if (this == &other) return *this;
  Unmap();
  data_ = std::exchange(other.data_, nullptr);
  bytes_ = std::exchange(other.bytes_, 0);
  mapped_bytes_ = std::exchange(other.mapped_bytes_, 0);
  page_bytes_ = other.page_bytes_;
  node_ = other.node_;
  os_node_ = other.os_node_;
  descriptor_ = std::exchange(other.descriptor_, -1);
  purpose_ = std::move(other.purpose_);
  ledger_ = std::exchange(other.ledger_, nullptr);
  return *this;
}

}  // namespace mlad
