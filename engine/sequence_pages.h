// The pages of the running sequences: shared ones for what the prefix cache
// has, their own for the rest.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/types/span.h"

#include "attention/latent_cache.h"
#include "engine/page_forms.h"
#include "engine/prefix_cache.h"
#include "engine/sequence.h"

namespace mlad {

/// The longest sequence, up to `limit` tokens, that the cache holds when empty.
int64_t LongestSequence(const PageAllocator& pages, int64_t limit);

/// Gives pages to sequences and takes them back; what is unused for longest
/// makes room. A sequence's complete pages are found by others from the step
/// on in which they were computed. Used by one thread at a time.
class SequencePages {
 public:
  /// As PrefixCache.
  explicit SequencePages(PageAllocator& pages,
                         PrefixDirectory directory = PrefixDirectory({}))
      : pages_(pages), cache_(pages, std::move(directory)) {}

  /// Pages for all tokens of a sequence that has none, with as much as possible
  /// taken over from the cache, if `spare` more pages can be had then. False,
  /// changing nothing, if not. After Release() the forms stay those of the
  /// first time.
  bool Begin(Sequence& sequence, int64_t spare);
  /// Room for `tokens` tokens; false, changing nothing, when there is none.
  bool Extend(Sequence& sequence, int64_t tokens);
  /// Takes over what others have computed since, for a sequence that reads.
  void TakeOver(Sequence& sequence);
  /// Offers the pages that the last step has completed to others.
  void Offer(Sequence& sequence);
  /// Complete pages stay in the cache, as long as there is room.
  void Release(Sequence& sequence);

  // Of pages that no sequence has.
  /// The longest beginning of `tokens` that the cache has, with preferably
  /// these forms. Stays until LetGo.
  PrefixCache::Match Hold(absl::Span<const int32_t> tokens,
                          const PageForms& forms);
  void LetGo(const PrefixCache::Match& match);
  /// Pages to write `tokens` to, which fill them; false when there is no room.
  bool Reserve(absl::Span<const int32_t> tokens, PageTable* table);
  void GiveBack(PageTable& table) { pages_.Release(table); }
  /// Offers reserved pages that have been written, in these forms [pages].
  void Adopt(absl::Span<const int32_t> tokens, absl::Span<const FormMask> forms,
             PageTable& table);

  /// Of each node, held by the cache alone.
  std::vector<int64_t> evictable_pages() const;
  int64_t evictions() const { return cache_.evictions(); }

 private:
  /// First nodes in the order in which they are tried.
  int FirstNode(absl::Span<const int32_t> tokens, int attempt) const;
  bool BeginWith(Sequence& sequence, const PrefixCache::Match& match,
                 int64_t spare);
  PrefixCache::Key KeyOf(const Sequence& sequence, int64_t page) const;
  /// Makes the page the sequence's own instead of the one in its table.
  void Replace(Sequence& sequence, int64_t page, PrefixCache::Entry* entry);
  /// Evicts as much as is needed.
  bool Grow(PageTable& table, int64_t tokens, int64_t spare);

  PageAllocator& pages_;
  PrefixCache cache_;
};

}  // namespace mlad
