// The prefix cache's entries, written down beside the pages: so that they
// survive the process where the pages do.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/types/span.h"

#include "attention/latent_cache.h"
#include "engine/page_forms.h"

namespace mlad {

/// What a page of the cache holds, and after which page.
struct PageRecord {
  PageRef parent = {-1, -1};  // negative: the sequence's first page
  int32_t first_node = 0;     // of the sequence's table
  FormMask forms = 0;
  std::array<int32_t, kPagePositions> tokens{};
};

/// One note of kPageNoteBytes for each page. A process that is killed at any
/// moment leaves each note as it was, empty, or complete. Used by one thread at
/// a time.
class PrefixDirectory {
 public:
  /// `notes`: [nodes], kPageNoteBytes for each of the node's pages; empty: all
  /// is forgotten at once. Outlives the directory.
  explicit PrefixDirectory(std::vector<absl::Span<std::byte>> notes)
      : notes_(std::move(notes)) {}

  /// The page is complete and nobody writes it any more.
  void Write(PageRef page, const PageRecord& record);
  /// Before anybody writes the page.
  void Erase(PageRef page);
  /// Empty for an empty or damaged note.
  std::optional<PageRecord> Read(PageRef page) const;
  /// All that can be read.
  std::vector<PageRef> Pages() const;

 private:
  std::byte* Note(PageRef page) const;

  std::vector<absl::Span<std::byte>> notes_;
};

}  // namespace mlad
