// Byte-pair encoding of one piece of text: neighbours merge, best rank first.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace mlad {

class BytePairMerger {
 public:
  /// Memory that calls reuse; one for each thread that encodes.
  class Workspace {
   private:
    friend class BytePairMerger;
    struct Symbol {
      int32_t id = 0;        // -1: merged into its left neighbour
      int32_t previous = 0;  // index of the neighbours, -1 at the ends
      int32_t next = 0;
    };
    struct Candidate {
      int32_t rank = 0;
      int32_t left = 0;  // index of its left symbol
      int32_t left_id = 0;
      int32_t right_id = 0;
      int32_t merged_id = 0;
    };
    std::vector<Symbol> symbols_;
    std::vector<Candidate> heap_;
  };

  BytePairMerger() { byte_ids_.fill(kNone); }

  /// The token of a single byte.
  void SetByte(uint8_t byte, int32_t id) { byte_ids_[byte] = id; }
  bool HasByte(uint8_t byte) const { return byte_ids_[byte] != kNone; }
  /// Adds the next merge: a later one has a worse rank. False, and nothing is
  /// added, when the pair has one already.
  bool AddMerge(int32_t left, int32_t right, int32_t merged);

  /// Appends the tokens of `piece` to `ids`. Every byte of it must have a token
  /// (HasByte), and it must have less than 2^31 bytes.
  /// Order the best rank first, of equal pairs the leftmost first
  /// Time O(n log n) in the bytes of the piece
  void Encode(std::string_view piece, Workspace& workspace,
              std::vector<int32_t>& ids) const;

 private:
  static constexpr int32_t kNone = -1;
  struct Merge {
    int32_t rank = 0;
    int32_t merged_id = 0;
  };

  static bool Worse(const Workspace::Candidate& a,
                    const Workspace::Candidate& b);
  void Offer(int32_t left, Workspace& workspace) const;
  void Apply(const Workspace::Candidate& candidate, Workspace& workspace) const;

  std::array<int32_t, 256> byte_ids_;
  absl::flat_hash_map<uint64_t, Merge> merges_;  // by the pair of ids
};

}  // namespace mlad
