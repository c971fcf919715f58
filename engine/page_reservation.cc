#include "engine/page_reservation.h"

#include <algorithm>
#include <vector>

namespace mlad {
namespace {

/// Lane l holds every kLanes-th page and lives on node (l + first_node) %
/// nodes.
bool FitsFrom(const PageAllocator& pages, int64_t count, int first_node) {
  std::vector<int64_t> needed(pages.nodes(), 0);
  for (int lane = 0; lane < kLanes; ++lane) {
    needed[(lane + first_node) % pages.nodes()] +=
        count / kLanes + (lane < count % kLanes ? 1 : 0);
  }
  for (int node = 0; node < pages.nodes(); ++node) {
    if (needed[node] > pages.capacity_pages(node)) return false;
  }
  return true;
}

bool FitsEmpty(const PageAllocator& pages, int64_t count) {
  for (int first_node = 0; first_node < pages.nodes(); ++first_node) {
    if (FitsFrom(pages, count, first_node)) return true;
  }
  return false;
}

}  // namespace

int64_t LongestSequence(const PageAllocator& pages, int64_t limit) {
  int64_t fits = 0;
  int64_t too_many = PageAllocator::PagesForTokens(limit) + 1;
  while (fits + 1 < too_many) {
    const int64_t middle = fits + (too_many - fits) / 2;
    (FitsEmpty(pages, middle) ? fits : too_many) = middle;
  }
  return std::min(limit, fits * kPagePositions);
}

bool ReservePages(PageAllocator& pages, int64_t tokens, PageTable& table) {
  for (int attempt = 0; attempt < pages.nodes(); ++attempt) {
    table = pages.NewTable();  // each call begins with another node
    if (pages.Grow(table, tokens).ok()) return true;
  }
  return false;
}

}  // namespace mlad
