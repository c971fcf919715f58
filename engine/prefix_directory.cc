#include "engine/prefix_directory.h"

#include <atomic>
#include <cstring>
#include <type_traits>

#include <xxhash.h>

namespace mlad {
namespace {

struct StoredNote {
  uint64_t check = 0;  // of the record and its page; 0: empty
  PageRecord record;
};
static_assert(sizeof(StoredNote) <= kPageNoteBytes);
static_assert(std::is_trivially_copyable_v<StoredNote>);
static_assert(sizeof(PageRecord) == 144, "without padding: it is hashed");

uint64_t Check(PageRef page, const PageRecord& record) {
  const uint64_t seed = (static_cast<uint64_t>(page.node) << 32) |
                        static_cast<uint32_t>(page.index);
  return XXH3_64bits_withSeed(&record, sizeof record, seed) | 1;
}

/// In this order for whoever finds the memory after this process was killed:
/// then all that was stored is there, up to some instruction.
void StoreCheck(std::byte* note, uint64_t check) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  std::memcpy(note + offsetof(StoredNote, check), &check, sizeof check);
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace

std::byte* PrefixDirectory::Note(PageRef page) const {
  const int64_t offset = page.index * kPageNoteBytes;
  return notes_.empty() ? nullptr : notes_[page.node].data() + offset;
}

void PrefixDirectory::Write(PageRef page, const PageRecord& record) {
  std::byte* const note = Note(page);
  if (note == nullptr) return;
  StoreCheck(note, 0);
  std::memcpy(note + offsetof(StoredNote, record), &record, sizeof record);
  StoreCheck(note, Check(page, record));
}

void PrefixDirectory::Erase(PageRef page) {
  if (std::byte* const note = Note(page); note != nullptr) StoreCheck(note, 0);
}

std::optional<PageRecord> PrefixDirectory::Read(PageRef page) const {
  const std::byte* const bytes = Note(page);
  if (bytes == nullptr) return std::nullopt;
  StoredNote note;
  std::memcpy(&note, bytes, sizeof note);
  if (note.check == 0 || note.check != Check(page, note.record)) {
    return std::nullopt;
  }
  return note.record;
}

std::vector<PageRef> PrefixDirectory::Pages() const {
  std::vector<PageRef> pages;
  for (size_t node = 0; node < notes_.size(); ++node) {
    const auto count =
        static_cast<int64_t>(notes_[node].size()) / kPageNoteBytes;
    for (int64_t i = 0; i < count; ++i) {
      const PageRef page = {static_cast<int32_t>(node),
                            static_cast<int32_t>(i)};
      if (Read(page).has_value()) pages.push_back(page);
    }
  }
  return pages;
}

}  // namespace mlad
