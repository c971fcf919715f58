#include <algorithm>
#include <mutex>

#include "absl/strings/str_cat.h"

#include "attention/latent_cache.h"
#include "base/check.h"

namespace mlad {
namespace {

struct NodePages {
  int64_t capacity = 0;
  std::vector<int32_t> free;     // the last one is handed out next
  std::vector<int32_t> holders;  // [capacity]

  int64_t free_count() const { return static_cast<int64_t>(free.size()); }
  int32_t Take() {
    const int32_t index = free.back();
    free.pop_back();
    holders[index] = 1;
    return index;
  }
  void Drop(int32_t index) {
    MLAD_CHECK(holders[index] > 0);
    if (--holders[index] == 0) free.push_back(index);
  }
};

absl::Status TooFewPages(int node, const NodePages& pages, int64_t needed,
                         int64_t tokens) {
  return absl::ResourceExhaustedError(absl::StrCat(
      "extending a sequence to ", tokens, " tokens needs ", needed,
      " more pages of the KV cache on node ", node, ", which has ",
      pages.free_count(), " of ", pages.capacity, " free; ",
      needed <= pages.capacity ? "wait until other requests finish or "
                               : "shorten the prompt or ",
      "restart with a larger --context"));
}

}  // namespace

struct PageAllocator::State {
  mutable std::mutex mutex;
  std::vector<NodePages> nodes;
  int next_first_node = 0;

  int node_count() const { return static_cast<int>(nodes.size()); }
};

PageAllocator::PageAllocator(std::vector<int64_t> pages_per_node)
    : state_(std::make_unique<State>()) {
  MLAD_CHECK(!pages_per_node.empty());
  for (const int64_t capacity : pages_per_node) {
    NodePages& node = state_->nodes.emplace_back();
    node.capacity = capacity;
    node.free.resize(capacity);
    node.holders.resize(capacity, 0);
    for (int64_t i = 0; i < capacity; ++i) {
      node.free[i] = static_cast<int32_t>(capacity - 1 - i);
    }
  }
}

PageAllocator::~PageAllocator() = default;

PageTable PageAllocator::NewTable() {
  const std::lock_guard lock(state_->mutex);
  PageTable table;
  table.first_node = state_->next_first_node;
  state_->next_first_node = (table.first_node + 1) % state_->node_count();
  return table;
}

absl::Status PageAllocator::Grow(PageTable& table, int64_t tokens) {
  const int64_t have = static_cast<int64_t>(table.pages.size());
  const int64_t want = PagesForTokens(tokens);
  if (want <= have) return absl::OkStatus();
  const int nodes = this->nodes();
  const auto node_of = [&](int64_t page) {
    return LaneNode(static_cast<int>(page % kLanes), table.first_node, nodes);
  };
  std::vector<int64_t> needed(nodes);
  for (int64_t page = have; page < want; ++page) ++needed[node_of(page)];
  table.pages.reserve(want);

  const std::lock_guard lock(state_->mutex);
  for (int n = 0; n < nodes; ++n) {
    if (needed[n] > state_->nodes[n].free_count()) {
      return TooFewPages(n, state_->nodes[n], needed[n], tokens);
    }
  }
  for (int64_t page = have; page < want; ++page) {
    const int n = node_of(page);
    table.pages.push_back({n, state_->nodes[n].Take()});
  }
  return absl::OkStatus();
}

void PageAllocator::Release(PageTable& table) {
  const std::lock_guard lock(state_->mutex);
  // Backwards, so that the same pages come again in the same order.
  for (auto page = table.pages.rbegin(); page != table.pages.rend(); ++page) {
    state_->nodes[page->node].Drop(page->index);
  }
  table.pages.clear();
}

void PageAllocator::Share(PageRef page) {
  const std::lock_guard lock(state_->mutex);
  int32_t& holders = state_->nodes[page.node].holders[page.index];
  MLAD_CHECK(holders > 0);
  ++holders;
}

bool PageAllocator::TakeFree(PageRef page) {
  const std::lock_guard lock(state_->mutex);
  NodePages& node = state_->nodes[page.node];
  const auto found = std::find(node.free.begin(), node.free.end(), page.index);
  if (found == node.free.end()) return false;
  node.free.erase(found);
  node.holders[page.index] = 1;
  return true;
}

void PageAllocator::Drop(PageRef page) {
  const std::lock_guard lock(state_->mutex);
  state_->nodes[page.node].Drop(page.index);
}

int PageAllocator::nodes() const { return state_->node_count(); }

int64_t PageAllocator::capacity_pages(int node) const {
  return state_->nodes[node].capacity;
}

int64_t PageAllocator::used_pages(int node) const {
  const std::lock_guard lock(state_->mutex);
  return state_->nodes[node].capacity - state_->nodes[node].free_count();
}

int64_t PageAllocator::free_pages(int node) const {
  const std::lock_guard lock(state_->mutex);
  return state_->nodes[node].free_count();
}

int64_t PageAllocator::PagesForTokens(int64_t tokens) {
  return (tokens + kPagePositions - 1) / kPagePositions;
}

}  // namespace mlad
