#include "engine/gap_budget.h"

#include <algorithm>

namespace mlad {
namespace {

constexpr double kAim = 0.7;  // of the bound

/// Follows a rise at once and a fall slowly.
void Follow(double& estimate, double observed) {
  constexpr double kFall = 0.3;
  estimate =
      observed > estimate ? observed : estimate + kFall * (observed - estimate);
}

}  // namespace

GapBudget::GapBudget(absl::Duration bound, const Shape& shape)
    : bound_(bound),
      shape_(shape),
      min_rows_(std::min(kMinRows, shape.chunk_tokens)),
      // Until something is known, a piece that surely is not a long one.
      expanded_rows_(bounded() ? std::max(min_rows_, shape.chunk_tokens / 4)
                               : shape.chunk_tokens) {}

double GapBudget::FreeSeconds() const {
  return std::max(kAim * absl::ToDoubleSeconds(bound_) - generating_s_, 0.0);
}

int64_t GapBudget::layers() const {
  if (!bounded()) return shape_.layers;
  if (layer_s_ == 0) return 1;
  const double fit =
      std::min(FreeSeconds() / layer_s_, static_cast<double>(shape_.layers));
  return std::max<int64_t>(static_cast<int64_t>(fit), 1);
}

int64_t GapBudget::absorbed_rows() const {
  if (!bounded()) return shape_.chunk_tokens;
  if (absorbed_row_s_ == 0) return min_rows_;
  const double fit = std::min(FreeSeconds() / absorbed_row_s_,
                              static_cast<double>(shape_.chunk_tokens));
  return std::max<int64_t>(static_cast<int64_t>(fit), 1);
}

void GapBudget::ObserveGenerating(absl::Duration time) {
  Follow(generating_s_, absl::ToDoubleSeconds(time));
}

void GapBudget::ObserveAbsorbed(int64_t rows, absl::Duration time) {
  const double reading = absl::ToDoubleSeconds(time) - generating_s_;
  Follow(absorbed_row_s_, std::max(reading / static_cast<double>(rows), 1e-9));
}

void GapBudget::ObserveExpanded(int64_t rows, int64_t layers,
                                absl::Duration time) {
  if (!bounded()) return;
  // As if the piece had expanded_rows_: an upper bound if it had fewer.
  const double observed =
      absl::ToDoubleSeconds(time) / static_cast<double>(layers) *
      static_cast<double>(expanded_rows_) / static_cast<double>(rows);
  Follow(layer_s_, std::max(observed, 1e-9));
  const double free_s = FreeSeconds();
  while (layer_s_ > free_s && expanded_rows_ > min_rows_) {
    const int64_t fewer = std::max(expanded_rows_ / 2, min_rows_);
    layer_s_ *=
        static_cast<double>(fewer) / static_cast<double>(expanded_rows_);
    expanded_rows_ = fewer;
  }
  while (expanded_rows_ < shape_.chunk_tokens && layer_s_ < free_s / 2) {
    const int64_t more = std::min(expanded_rows_ * 2, shape_.chunk_tokens);
    layer_s_ *= static_cast<double>(more) / static_cast<double>(expanded_rows_);
    expanded_rows_ = more;
  }
}

}  // namespace mlad
