#include "attention/latent_window.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace mlad {

LatentWindow::LatentWindow(const LatentCache& cache, int64_t layer,
                           const RowGroup& rows, std::byte* buffer,
                           const WorkerContext& worker, Traffic* traffic)
    : cache_(cache),
      layer_(layer),
      pages_(*rows.pages),
      end_(rows.first_position + rows.rows),
      buffer_(buffer),
      worker_(worker),
      traffic_(traffic) {
  MLAD_DCHECK(cache.row_bytes() <= 2 * cache.shape().row_elements);
}

void LatentWindow::MoveTo(int64_t position) {
  while (next_ <= position) Fetch();
}

void LatentWindow::Finish() {
  while (next_ < end_) Fetch();
  next_ = 0;
}

const std::byte* LatentWindow::Rows(int64_t page) const {
  const PageRef ref = pages_.pages[page];
  return ref.node == worker_.node ? cache_.Rows(ref, layer_) : Fetched(page);
}

/// The worker's share of the remote pages of the next half, then everybody's.
void LatentWindow::Fetch() {
  half_ = 1 - half_;
  const int64_t end = std::min(next_ + kPositions, end_);
  int64_t remote = 0;
  for (int64_t begin = next_; begin < end; begin += kPagePositions) {
    const int64_t page = begin / kPagePositions;
    const PageRef ref = pages_.pages[page];
    if (ref.node == worker_.node) continue;
    if (remote++ % worker_.workers != worker_.worker) continue;
    const int64_t bytes =
        std::min<int64_t>(kPagePositions, end - begin) * cache_.row_bytes();
    std::memcpy(Fetched(page), cache_.Rows(ref, layer_), bytes);
    traffic_->Add(false, bytes);
  }
  next_ += kPositions;
  worker_.SyncNode();
}

std::byte* LatentWindow::Fetched(int64_t page) const {
  const int64_t position = page * kPagePositions % kPositions;
  return buffer_ + (half_ * kPositions + position) * cache_.row_bytes();
}

}  // namespace mlad
