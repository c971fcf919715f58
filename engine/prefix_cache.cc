#include "engine/prefix_cache.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/hash/hash.h"

#include "base/check.h"

namespace mlad {

struct PrefixCache::Entry {
  Entry* parent = nullptr;
  int first_node = 0;
  PageTokens tokens{};
  FormMask forms = 0;
  PageRef page;
  uint64_t hash = 0;
  int64_t children = 0;
  int64_t pins = 0;  // of itself and of all that come after it
  uint64_t last_use = 0;
};

namespace {

uint64_t ChainedHash(const PrefixCache::Entry* parent, int first_node,
                     absl::Span<const int32_t> tokens) {
  const uint64_t before =
      parent == nullptr ? static_cast<uint64_t>(first_node) : parent->hash;
  return absl::HashOf(before, tokens);
}

bool HasTokens(const PrefixCache::Entry& entry,
               absl::Span<const int32_t> tokens) {
  return std::equal(entry.tokens.begin(), entry.tokens.end(), tokens.begin(),
                    tokens.end());
}

}  // namespace

PrefixCache::PrefixCache(PageAllocator& pages, PrefixDirectory directory)
    : directory_(std::move(directory)),
      pages_(pages),
      evictable_(pages.nodes(), 0) {
  Restore();
}

PrefixCache::~PrefixCache() {
  for (const auto& [hash, entry] : index_) pages_.Drop(entry->page);
}

PageRef PrefixCache::PageOf(const Entry& entry) { return entry.page; }

PrefixCache::Match PrefixCache::FindFrom(int first_node,
                                         absl::Span<const int32_t> tokens,
                                         const PageForms& forms,
                                         int64_t max_pages,
                                         bool exact_only) const {
  struct Candidate {
    Entry* entry = nullptr;
    int64_t exact_pages = 0;
  };
  std::vector<Candidate> deepest = {{nullptr, 0}};
  int64_t depth = 0;
  while (depth < max_pages) {
    const auto page_tokens =
        tokens.subspan(depth * kPagePositions, kPagePositions);
    const FormMask wanted = forms.Mask(depth);
    // All candidates have the same tokens, hence the same hash.
    const auto [begin, end] = index_.equal_range(
        ChainedHash(deepest.front().entry, first_node, page_tokens));
    std::vector<Candidate> deeper;
    for (auto it = begin; it != end; ++it) {
      Entry* const entry = it->second.get();
      if (entry->first_node != first_node || !HasTokens(*entry, page_tokens)) {
        continue;
      }
      if (exact_only && entry->forms != wanted) continue;
      const auto parent = std::find_if(
          deepest.begin(), deepest.end(),
          [&](const Candidate& c) { return c.entry == entry->parent; });
      if (parent == deepest.end()) continue;
      const bool exact = parent->exact_pages == depth && entry->forms == wanted;
      deeper.push_back({entry, parent->exact_pages + (exact ? 1 : 0)});
    }
    if (deeper.empty()) break;
    deepest = std::move(deeper);
    ++depth;
  }
  const auto best =
      std::max_element(deepest.begin(), deepest.end(),
                       [](const Candidate& a, const Candidate& b) {
                         return a.exact_pages < b.exact_pages;
                       });
  Match match;
  match.last = best->entry;
  match.first_node = first_node;
  match.exact_pages = best->exact_pages;
  match.pages.resize(depth);
  match.forms.resize(depth);
  const Entry* entry = match.last;
  for (int64_t page = depth - 1; page >= 0; --page, entry = entry->parent) {
    match.pages[page] = entry->page;
    match.forms[page] = entry->forms;
  }
  return match;
}

PrefixCache::Match PrefixCache::Find(absl::Span<const int32_t> tokens,
                                     const PageForms& forms, int64_t max_pages,
                                     bool exact_only) const {
  Match best;
  for (int node = 0; node < pages_.nodes(); ++node) {
    Match match = FindFrom(node, tokens, forms, max_pages, exact_only);
    if (match.pages.size() > best.pages.size() ||
        (match.pages.size() == best.pages.size() &&
         match.exact_pages > best.exact_pages)) {
      best = std::move(match);
    }
  }
  return best;
}

PrefixCache::Entry* PrefixCache::FindExact(const Key& key) const {
  const auto [begin, end] =
      index_.equal_range(ChainedHash(key.parent, key.first_node, key.tokens));
  for (auto it = begin; it != end; ++it) {
    Entry& entry = *it->second;
    if (entry.parent == key.parent && entry.first_node == key.first_node &&
        entry.forms == key.forms && HasTokens(entry, key.tokens)) {
      return &entry;
    }
  }
  return nullptr;
}

PrefixCache::Entry* PrefixCache::Insert(const Key& key, PageRef page) {
  MLAD_DCHECK(FindExact(key) == nullptr);
  MLAD_DCHECK(key.parent == nullptr || key.parent->pins > 0);
  auto entry = std::make_unique<Entry>();
  entry->parent = key.parent;
  entry->first_node = key.first_node;
  std::copy(key.tokens.begin(), key.tokens.end(), entry->tokens.begin());
  entry->forms = key.forms;
  entry->page = page;
  entry->hash = ChainedHash(key.parent, key.first_node, key.tokens);
  entry->last_use = ++clock_;
  pages_.Share(page);
  directory_.Write(page,
                   {key.parent == nullptr ? PageRef{-1, -1} : key.parent->page,
                    key.first_node, key.forms, entry->tokens});
  if (key.parent != nullptr) ++key.parent->children;
  Entry* const inserted = entry.get();
  index_.emplace(inserted->hash, std::move(entry));
  ++evictable_[page.node];
  OfferForEviction(inserted);
  return inserted;
}

void PrefixCache::OfferForEviction(Entry* entry) {
  if (entry->pins == 0 && entry->children == 0) {
    by_last_use_.emplace(entry->last_use, entry);
  }
}

void PrefixCache::Pin(Entry* entry) {
  for (; entry != nullptr; entry = entry->parent) MovePin(entry);
}

void PrefixCache::MovePin(Entry* child) {
  if (child->pins++ > 0) return;
  --evictable_[child->page.node];
  by_last_use_.erase(child->last_use);
}

void PrefixCache::Unpin(Entry* entry) {
  // What comes before is used later, so that it is given back later.
  for (; entry != nullptr; entry = entry->parent) {
    entry->last_use = ++clock_;
    MLAD_CHECK(entry->pins > 0);
    if (--entry->pins > 0) continue;
    ++evictable_[entry->page.node];
    OfferForEviction(entry);
  }
}

bool PrefixCache::EvictOne() {
  if (by_last_use_.empty()) return false;
  Entry* const entry = by_last_use_.begin()->second;
  by_last_use_.erase(by_last_use_.begin());
  directory_.Erase(entry->page);
  pages_.Drop(entry->page);
  --evictable_[entry->page.node];
  ++evictions_;
  if (Entry* const parent = entry->parent; parent != nullptr) {
    --parent->children;
    OfferForEviction(parent);
  }
  Erase(entry);
  return true;
}

void PrefixCache::Erase(Entry* entry) {
  const auto [begin, end] = index_.equal_range(entry->hash);
  for (auto it = begin; it != end; ++it) {
    if (it->second.get() != entry) continue;
    index_.erase(it);
    return;
  }
}

void PrefixCache::Restore() {
  struct Restored {
    PageRecord record;
    std::vector<PageRef> children;
  };
  using PlaceOf = std::pair<int32_t, int32_t>;
  std::map<PlaceOf, Restored> found;
  for (const PageRef page : directory_.Pages()) {
    found[{page.node, page.index}].record = *directory_.Read(page);
  }
  std::vector<PageRef> first_pages;
  for (const auto& [place, restored] : found) {
    const PageRef page = {place.first, place.second};
    const PageRef parent = restored.record.parent;
    if (parent.node < 0) {
      first_pages.push_back(page);
    } else if (const auto it = found.find({parent.node, parent.index});
               it != found.end()) {
      it->second.children.push_back(page);
    }
  }
  struct Pending {
    PageRef page;
    Entry* parent = nullptr;
    int64_t depth = 0;
  };
  std::set<PlaceOf> in_cache;
  std::vector<Pending> pending;
  for (const PageRef page : first_pages) pending.push_back({page, nullptr, 0});
  while (!pending.empty()) {
    const auto [page, parent, depth] = pending.back();
    pending.pop_back();
    const Restored& restored = found.at({page.node, page.index});
    const PageRecord& record = restored.record;
    const Key key = {parent, record.first_node, record.tokens, record.forms};
    // A page that is elsewhere than its position says, or there twice, would
    // break what others rely on.
    if (record.first_node < 0 || record.first_node >= pages_.nodes() ||
        (parent != nullptr && parent->first_node != record.first_node) ||
        LaneNode(static_cast<int>(depth % kLanes), record.first_node,
                 pages_.nodes()) != page.node ||
        FindExact(key) != nullptr || !pages_.TakeFree(page)) {
      continue;
    }
    if (parent != nullptr) Pin(parent);
    Entry* const entry = Insert(key, page);
    if (parent != nullptr) Unpin(parent);
    pages_.Drop(page);  // the cache alone holds it
    in_cache.insert({page.node, page.index});
    for (const PageRef child : restored.children) {
      pending.push_back({child, entry, depth + 1});
    }
  }
  // The rest leads nowhere.
  for (const auto& [place, restored] : found) {
    if (!in_cache.contains(place))
      directory_.Erase({place.first, place.second});
  }
}

}  // namespace mlad
