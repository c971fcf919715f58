#include "model/byte_pair_merger.h"

#include <algorithm>

#include "base/check.h"

namespace mlad {
namespace {

uint64_t PairKey(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 |
         static_cast<uint32_t>(right);
}

}  // namespace

bool BytePairMerger::AddMerge(int32_t left, int32_t right, int32_t merged) {
  const auto rank = static_cast<int32_t>(merges_.size());
  return merges_.try_emplace(PairKey(left, right), Merge{rank, merged}).second;
}

/// Order of the heap: its front is the candidate to apply next.
bool BytePairMerger::Worse(const Workspace::Candidate& a,
                           const Workspace::Candidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
}

/// Makes the pair that begins at `left` a candidate, if it can merge.
void BytePairMerger::Offer(int32_t left, Workspace& workspace) const {
  if (left < 0) return;
  const Workspace::Symbol& symbol = workspace.symbols_[left];
  if (symbol.next < 0) return;
  const int32_t right_id = workspace.symbols_[symbol.next].id;
  const auto found = merges_.find(PairKey(symbol.id, right_id));
  if (found == merges_.end()) return;
  workspace.heap_.push_back(
      {found->second.rank, left, symbol.id, right_id, found->second.merged_id});
  std::push_heap(workspace.heap_.begin(), workspace.heap_.end(), Worse);
}

void BytePairMerger::Apply(const Workspace::Candidate& candidate,
                           Workspace& workspace) const {
  std::vector<Workspace::Symbol>& symbols = workspace.symbols_;
  Workspace::Symbol& left = symbols[candidate.left];
  // Of a pair that has changed since it was offered, nothing is left to do.
  if (left.id != candidate.left_id || left.next < 0 ||
      symbols[left.next].id != candidate.right_id) {
    return;
  }
  Workspace::Symbol& right = symbols[left.next];
  left.id = candidate.merged_id;
  left.next = right.next;
  right.id = kNone;
  if (left.next >= 0) symbols[left.next].previous = candidate.left;
  Offer(left.previous, workspace);
  Offer(candidate.left, workspace);
}

void BytePairMerger::Encode(std::string_view piece, Workspace& workspace,
                            std::vector<int32_t>& ids) const {
  const auto length = static_cast<int32_t>(piece.size());
  workspace.symbols_.clear();
  workspace.heap_.clear();
  for (int32_t i = 0; i < length; ++i) {
    const int32_t id = byte_ids_[static_cast<uint8_t>(piece[i])];
    MLAD_DCHECK(id != kNone);
    workspace.symbols_.push_back({id, i - 1, i + 1 < length ? i + 1 : -1});
  }
  for (int32_t i = 0; i + 1 < length; ++i) Offer(i, workspace);
  while (!workspace.heap_.empty()) {
    std::pop_heap(workspace.heap_.begin(), workspace.heap_.end(), Worse);
    const Workspace::Candidate candidate = workspace.heap_.back();
    workspace.heap_.pop_back();
    Apply(candidate, workspace);
  }
  for (int32_t i = 0; i >= 0 && length > 0; i = workspace.symbols_[i].next) {
    ids.push_back(workspace.symbols_[i].id);
  }
}

}  // namespace mlad
