#include "engine/sequence_pages.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "base/check.h"

namespace mlad {
namespace {

/// Lane l holds every kLanes-th page and lives on node (l + first_node) %
/// nodes.
bool FitsFrom(const PageAllocator& pages, int64_t count, int first_node) {
  std::vector<int64_t> needed(pages.nodes(), 0);
  for (int lane = 0; lane < kLanes; ++lane) {
    needed[LaneNode(lane, first_node, pages.nodes())] +=
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

int SequencePages::FirstNode(absl::Span<const int32_t> tokens,
                             int attempt) const {
  // The same beginning starts on the same node, so that sequences which are
  // read at the same time find each other's pages.
  const auto count = std::min<size_t>(tokens.size(), kPagePositions);
  const int64_t sum =
      std::accumulate(tokens.begin(), tokens.begin() + count, int64_t{0});
  return static_cast<int>((sum + attempt) % pages_.nodes());
}

bool SequencePages::Begin(Sequence& sequence, int64_t spare) {
  MLAD_DCHECK(sequence.pages().pages.empty());
  const int64_t reusable = sequence.ReusableTokens() / kPagePositions;
  const PrefixCache::Match match =
      cache_.Find(sequence.tokens(), sequence.forms(), reusable,
                  sequence.exact_reuse_only());
  if (match.last != nullptr && BeginWith(sequence, match, spare)) return true;
  for (int attempt = 0; attempt < pages_.nodes(); ++attempt) {
    PrefixCache::Match nothing;
    nothing.first_node = FirstNode(sequence.tokens(), attempt);
    if (BeginWith(sequence, nothing, spare)) return true;
  }
  return false;
}

bool SequencePages::BeginWith(Sequence& sequence,
                              const PrefixCache::Match& match, int64_t spare) {
  // Pinned first: growing may evict.
  cache_.Pin(match.last);
  PageTable& table = sequence.pages();
  table.first_node = match.first_node;
  for (const PageRef page : match.pages) pages_.Share(page);
  table.pages = match.pages;
  if (!Grow(table, static_cast<int64_t>(sequence.tokens().size()), spare)) {
    pages_.Release(table);
    cache_.Unpin(match.last);
    return false;
  }
  sequence.SetLastEntry(match.last);
  sequence.TakeOver(match.forms, match.exact_pages);
  return true;
}

bool SequencePages::Grow(PageTable& table, int64_t tokens, int64_t spare) {
  // Checked before: what is evicted in vain is lost.
  std::vector<int64_t> available(pages_.nodes());
  int64_t left = 0;
  for (int node = 0; node < pages_.nodes(); ++node) {
    available[node] = pages_.free_pages(node) + cache_.evictable_pages(node);
    left += available[node];
  }
  const int64_t want = PageAllocator::PagesForTokens(tokens);
  for (auto page = static_cast<int64_t>(table.pages.size()); page < want;
       ++page, --left) {
    const int node = LaneNode(static_cast<int>(page % kLanes), table.first_node,
                              pages_.nodes());
    if (--available[node] < 0) return false;
  }
  if (left < spare) return false;
  while (!pages_.Grow(table, tokens).ok()) {
    if (!cache_.EvictOne()) return false;
  }
  return true;
}

bool SequencePages::Extend(Sequence& sequence, int64_t tokens) {
  if (sequence.pages().capacity_tokens() >= tokens) return true;
  return Grow(sequence.pages(), tokens, 0);
}

PrefixCache::Key SequencePages::KeyOf(const Sequence& sequence,
                                      int64_t page) const {
  return {sequence.last_entry(), sequence.pages().first_node,
          absl::MakeConstSpan(sequence.tokens())
              .subspan(page * kPagePositions, kPagePositions),
          sequence.forms().Mask(page)};
}

void SequencePages::Replace(Sequence& sequence, int64_t page,
                            PrefixCache::Entry* entry) {
  cache_.MovePin(entry);
  sequence.SetLastEntry(entry);
  PageRef& own = sequence.pages().pages[page];
  const PageRef shared = PrefixCache::PageOf(*entry);
  if (own == shared) return;
  pages_.Share(shared);
  pages_.Drop(own);
  own = shared;
}

void SequencePages::TakeOver(Sequence& sequence) {
  const int64_t reusable = sequence.ReusableTokens() / kPagePositions;
  while (sequence.position() % kPagePositions == 0) {
    const int64_t page = sequence.position() / kPagePositions;
    if (page >= reusable) return;
    PrefixCache::Entry* const entry = cache_.FindExact(KeyOf(sequence, page));
    if (entry == nullptr) return;
    Replace(sequence, page, entry);
    sequence.SkipPage();
  }
}

void SequencePages::Offer(Sequence& sequence) {
  const int64_t complete = sequence.position() / kPagePositions;
  for (int64_t page = sequence.offered_pages(); page < complete; ++page) {
    const PrefixCache::Key key = KeyOf(sequence, page);
    PrefixCache::Entry* entry = cache_.FindExact(key);
    if (entry == nullptr) {
      entry = cache_.Insert(key, sequence.pages().pages[page]);
    }
    Replace(sequence, page, entry);
    sequence.CountOfferedPage();
  }
}

void SequencePages::Release(Sequence& sequence) {
  pages_.Release(sequence.pages());
  cache_.Unpin(sequence.last_entry());
  sequence.SetLastEntry(nullptr);
}

PrefixCache::Match SequencePages::Hold(absl::Span<const int32_t> tokens,
                                       const PageForms& forms) {
  PrefixCache::Match match = cache_.Find(
      tokens, forms, static_cast<int64_t>(tokens.size()) / kPagePositions,
      /*exact_only=*/false);
  cache_.Pin(match.last);
  return match;
}

void SequencePages::LetGo(const PrefixCache::Match& match) {
  cache_.Unpin(match.last);
}

bool SequencePages::Reserve(absl::Span<const int32_t> tokens,
                            PageTable* table) {
  for (int attempt = 0; attempt < pages_.nodes(); ++attempt) {
    table->first_node = FirstNode(tokens, attempt);
    if (Grow(*table, static_cast<int64_t>(tokens.size()), 0)) return true;
  }
  return false;
}

void SequencePages::Adopt(absl::Span<const int32_t> tokens,
                          absl::Span<const FormMask> forms, PageTable& table) {
  PrefixCache::Entry* last = nullptr;
  for (size_t page = 0; page < forms.size(); ++page) {
    const PrefixCache::Key key = {
        last, table.first_node,
        tokens.subspan(page * kPagePositions, kPagePositions), forms[page]};
    PrefixCache::Entry* entry = cache_.FindExact(key);
    if (entry == nullptr) entry = cache_.Insert(key, table.pages[page]);
    cache_.MovePin(entry);
    last = entry;
  }
  cache_.Unpin(last);
  pages_.Release(table);  // the cache holds those that were new to it
}

std::vector<int64_t> SequencePages::evictable_pages() const {
  std::vector<int64_t> pages(pages_.nodes());
  for (int node = 0; node < pages_.nodes(); ++node) {
    pages[node] = cache_.evictable_pages(node);
  }
  return pages;
}

}  // namespace mlad
