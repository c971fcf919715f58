// In which form each position of a sequence is computed (DESIGN.md I2).
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "attention/latent_cache.h"

namespace mlad {

/// The forms of one page's positions: bit i is set when position i of the page
/// is expanded, clear when it is absorbed.
using FormMask = uint32_t;
static_assert(kPagePositions == 32);

/// Complete chunks of the prompt are expanded, what follows is absorbed. Pages
/// that were taken over from another text keep the forms that they have, so
/// that they can be computed again with the same bits.
class PageForms {
 public:
  PageForms(int64_t prompt_tokens, int64_t chunk_tokens)
      : expanded_end_(prompt_tokens / chunk_tokens * chunk_tokens) {}

  bool IsExpanded(int64_t position) const;
  FormMask Mask(int64_t page) const;
  /// The first position after `position` whose form may be another.
  int64_t RunEnd(int64_t position) const;

  /// The first pages have these forms from now on.
  void TakeOver(std::vector<FormMask> masks) { taken_over_ = std::move(masks); }

 private:
  int64_t expanded_end_;
  std::vector<FormMask> taken_over_;
};

}  // namespace mlad
