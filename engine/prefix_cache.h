// The prefix cache: which complete pages of the latent cache hold which tokens.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "absl/types/span.h"

#include "attention/latent_cache.h"
#include "engine/page_forms.h"
#include "engine/prefix_directory.h"

namespace mlad {

/// A tree of pages: an entry is a page and all that comes before it, found by
/// the chained hash of their tokens and compared token by token. Pages that
/// were computed in other forms are other entries. Holds each page until it is
/// evicted. Used by one thread at a time.
class PrefixCache {
 public:
  struct Entry;
  using PageTokens = std::array<int32_t, kPagePositions>;

  /// `pages` outlives the cache. Begins with what `directory` has, and writes
  /// its entries there.
  explicit PrefixCache(PageAllocator& pages,
                       PrefixDirectory directory = PrefixDirectory({}));
  ~PrefixCache();
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  /// A page with what is needed to tell it from others.
  struct Key {
    Entry* parent = nullptr;           // null: the sequence's first page
    int first_node = 0;                // of the sequence's table
    absl::Span<const int32_t> tokens;  // [kPagePositions]
    FormMask forms = 0;
  };

  /// The pages of a sequence's beginning.
  struct Match {
    Entry* last = nullptr;
    int first_node = 0;
    std::vector<PageRef> pages;
    std::vector<FormMask> forms;
    int64_t exact_pages = 0;  // the first ones that have the wanted forms
  };
  /// The longest beginning of `tokens`, of at most `max_pages` pages; of
  /// equally long ones that with the most exact pages. With `exact_only` there
  /// are no others.
  Match Find(absl::Span<const int32_t> tokens, const PageForms& forms,
             int64_t max_pages, bool exact_only) const;

  /// Null when there is none.
  Entry* FindExact(const Key& key) const;
  /// Adds `page`, which from now on nobody writes; the caller holds it and has
  /// pinned the parent. Not to be called for a key that is there.
  Entry* Insert(const Key& key, PageRef page);
  static PageRef PageOf(const Entry& entry);

  /// A pinned entry and all before it stay. Each Pin needs its Unpin.
  void Pin(Entry* entry);
  void Unpin(Entry* entry);
  /// Moves a pin from an entry to its child (from nothing to a first page).
  void MovePin(Entry* child);

  /// Gives back the page that has been unused for longest; false when all are
  /// pinned.
  bool EvictOne();
  /// Pages of a node that evicting would free.
  int64_t evictable_pages(int node) const { return evictable_[node]; }
  int64_t size() const { return static_cast<int64_t>(index_.size()); }
  int64_t evictions() const { return evictions_; }

 private:
  using Index = std::unordered_multimap<uint64_t, std::unique_ptr<Entry>>;

  Match FindFrom(int first_node, absl::Span<const int32_t> tokens,
                 const PageForms& forms, int64_t max_pages,
                 bool exact_only) const;
  /// An entry that nothing pins may be given back when it has no children.
  void OfferForEviction(Entry* entry);
  void Erase(Entry* entry);
  /// Takes over what an earlier cache has left in the directory.
  void Restore();

  PrefixDirectory directory_;

  PageAllocator& pages_;
  Index index_;                             // by chained hash
  std::map<uint64_t, Entry*> by_last_use_;  // those that may be given back
  std::vector<int64_t> evictable_;          // [nodes]
  uint64_t clock_ = 0;                      // ticks with each use
  int64_t evictions_ = 0;
};

}  // namespace mlad
