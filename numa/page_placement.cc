// Where the kernel holds the pages of a region, by move_pages.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "numa/node_memory.h"

namespace mlad {
namespace {

constexpr int64_t kPagesPerCall = 16384;

/// A walk over every `stride`-th page of some memory.
struct PageWalk {
  std::byte* data = nullptr;
  int64_t pages = 0;
  int64_t page_bytes = 0;
  int64_t stride = 1;
};

absl::Status MovePagesFailed() {
  return absl::FailedPreconditionError(
      absl::StrCat("the kernel does not say where pages are (move_pages: ",
                   std::strerror(errno),
                   "); containers need the capability SYS_NICE for it"));
}

/// visit(addresses, nodes): the kernel's node of each page, negative when it
/// was never touched.
absl::Status VisitPages(
    const PageWalk& walk,
    absl::FunctionRef<absl::Status(std::vector<void*>&, std::vector<int>&)>
        visit) {
  std::vector<void*> addresses;
  std::vector<int> nodes;
  for (int64_t page = 0; page < walk.pages;) {
    addresses.clear();
    for (; page < walk.pages &&
           static_cast<int64_t>(addresses.size()) < kPagesPerCall;
         page += walk.stride) {
      addresses.push_back(walk.data + page * walk.page_bytes);
    }
    nodes.assign(addresses.size(), -ENOENT);
    if (syscall(SYS_move_pages, 0, addresses.size(), addresses.data(), nullptr,
                nodes.data(), 0) != 0) {
      return MovePagesFailed();
    }
    MLAD_RETURN_IF_ERROR(visit(addresses, nodes));
  }
  return absl::OkStatus();
}

}  // namespace

PlacementReport& PlacementReport::operator+=(const PlacementReport& other) {
  region_pages += other.region_pages;
  pages_checked += other.pages_checked;
  pages_touched += other.pages_touched;
  pages_misplaced += other.pages_misplaced;
  page_bytes = std::max(page_bytes, other.page_bytes);
  pages_moved += other.pages_moved;
  return *this;
}

absl::StatusOr<PlacementReport> NodeRegion::CheckEvery(const Topology& topology,
                                                       int64_t stride) const {
  PlacementReport report;
  report.page_bytes = page_bytes_;
  report.region_pages = mapped_bytes_ / page_bytes_;
  const absl::Status status = VisitPages(
      {data_, report.region_pages, page_bytes_, stride},
      [&](std::vector<void*>& addresses, std::vector<int>& nodes) {
        report.pages_checked += static_cast<int64_t>(addresses.size());
        for (int node : nodes) {
          report.pages_touched += node >= 0;
          report.pages_misplaced += node >= 0 && node != os_node_;
        }
        return absl::OkStatus();
      });
  if (!status.ok() && topology.real_node_count() > 1) return status;
  return report;
}

absl::StatusOr<PlacementReport> NodeRegion::CheckPlacement(
    const Topology& topology) const {
  if (data_ == nullptr) return PlacementReport();
  return CheckEvery(topology,
                    (mapped_bytes_ + kFullCheckBytes - 1) / kFullCheckBytes);
}

absl::StatusOr<int64_t> NodeRegion::CountMisplacedPages(
    const Topology& topology) const {
  MLAD_ASSIGN_OR_RETURN(const PlacementReport report, CheckPlacement(topology));
  return report.pages_misplaced;
}

absl::StatusOr<PlacementReport> NodeRegion::CorrectMisplacedPages(
    const Topology& topology) const {
  if (data_ == nullptr) return PlacementReport();
  MLAD_ASSIGN_OR_RETURN(const PlacementReport before, CheckEvery(topology, 1));
  if (before.pages_misplaced == 0) return before;
  MLAD_RETURN_IF_ERROR(VisitPages(
      {data_, mapped_bytes_ / page_bytes_, page_bytes_, 1},
      [&](std::vector<void*>& addresses, std::vector<int>& nodes) {
        std::vector<void*> strayed;
        for (size_t i = 0; i < nodes.size(); ++i) {
          if (nodes[i] >= 0 && nodes[i] != os_node_) {
            strayed.push_back(addresses[i]);
          }
        }
        if (strayed.empty()) return absl::OkStatus();
        const std::vector<int> homes(strayed.size(), os_node_);
        std::vector<int> results(strayed.size(), 0);
        // A page that cannot move (pinned, or its home is full) stays; the
        // report counts it.
        if (syscall(SYS_move_pages, 0, strayed.size(), strayed.data(),
                    homes.data(), results.data(), MPOL_MF_MOVE) < 0) {
          return MovePagesFailed();
        }
        return absl::OkStatus();
      }));
  MLAD_ASSIGN_OR_RETURN(PlacementReport report, CheckEvery(topology, 1));
  report.pages_moved =
      std::max<int64_t>(before.pages_misplaced - report.pages_misplaced, 0);
  return report;
}

}  // namespace mlad
