// Prefill on several nodes: pages of other nodes come to a node once for all
// its workers, some positions at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "attention/latent_cache.h"
#include "attention/row_group.h"
#include "numa/executor.h"
#include "numa/traffic.h"

namespace mlad {

/// One worker's view of the window that its node slides over the latents of one
/// layer and sequence. Every worker of the node makes one with the same
/// arguments and moves it over the same positions equally often; moving waits
/// for the others. Two halves, so that a worker can fetch into one while others
/// still read the other.
class LatentWindow {
 public:
  /// Positions of one half: a few tiles, and for each a wait that is short
  /// beside their work.
  static constexpr int64_t kPositions = int64_t{16} * kPagePositions;

  /// Of the node's buffer, whatever the cache type: none takes more than two
  /// bytes an element.
  static int64_t BufferBytes(int64_t row_elements) {
    return 2 * kPositions * 2 * row_elements;
  }

  /// rows: the whole group that the node computes, not a worker's part of it.
  /// buffer: [BufferBytes(...)], the node's.
  LatentWindow(const LatentCache& cache, int64_t layer, const RowGroup& rows,
               std::byte* buffer, const WorkerContext& worker,
               Traffic* traffic);

  /// Moves on until `position` lies within; positions ascend within a walk.
  void MoveTo(int64_t position);
  /// Moves over what is left of the walk; the next one begins at position 0.
  void Finish();

  /// Stored rows of page `page` of the sequence, which lies within the window:
  /// in the cache, or fetched from another node.
  const std::byte* Rows(int64_t page) const;

 private:
  void Fetch();
  std::byte* Fetched(int64_t page) const;

  const LatentCache& cache_;
  const int64_t layer_;
  const PageTable& pages_;
  const int64_t end_;  // positions of a walk
  std::byte* const buffer_;
  const WorkerContext& worker_;
  Traffic* const traffic_;
  int64_t next_ = 0;  // first position that is not fetched
  int half_ = 1;      // that is read
};

}  // namespace mlad
