#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "kernels/scalar_kernels.h"

namespace mlad::scalar {
namespace {

constexpr float kEmpty = -std::numeric_limits<float>::infinity();

// Summed in 8 interleaved parts, so that the additions do not wait for each
// other, and then by a fixed tree.
float Dot(const float* a, const float* b, int64_t n) {
  constexpr int kParts = 8;
  float parts[kParts] = {};
  const int64_t whole = n / kParts * kParts;
  for (int64_t i = 0; i < whole; i += kParts) {
    for (int j = 0; j < kParts; ++j) parts[j] += a[i + j] * b[i + j];
  }
  for (int64_t i = whole; i < n; ++i) parts[i - whole] += a[i] * b[i];
  return ((parts[0] + parts[1]) + (parts[2] + parts[3])) +
         ((parts[4] + parts[5]) + (parts[6] + parts[7]));
}

}  // namespace

float SoftmaxUpdate(float* scores, int64_t n, float* peak,
                    float* sum) noexcept {
  const float old_peak = *peak;
  float new_peak = old_peak;
  for (int64_t i = 0; i < n; ++i) new_peak = std::max(new_peak, scores[i]);
  if (new_peak == kEmpty) {
    std::fill_n(scores, n, 0.0f);
    return 1.0f;
  }
  const float factor =
      old_peak == new_peak ? 1.0f : std::exp(old_peak - new_peak);
  float total = *sum * factor;
  for (int64_t i = 0; i < n; ++i) {
    scores[i] = std::exp(scores[i] - new_peak);
    total += scores[i];
  }
  *peak = new_peak;
  *sum = total;
  return factor;
}

void AbsorbedTile(const AbsorbedTileArgs& args) noexcept {
  MLAD_DCHECK(args.positions <= kMaxTilePositions);
  float scores[kMaxTilePositions];
  for (int64_t head = 0; head < args.heads; ++head) {
    const float* q = args.q + head * args.row_elements;
    for (int64_t p = 0; p < args.positions; ++p) {
      scores[p] = args.scale *
                  Dot(q, args.rows + p * args.row_elements, args.row_elements);
    }
    const float factor = SoftmaxUpdate(
        scores, args.positions, args.state.peak + head, args.state.sum + head);
    float* out = args.state.out + head * args.value_elements;
    if (factor != 1.0f) Scale(out, args.value_elements, factor);
    for (int64_t p = 0; p < args.positions; ++p) {
      const float* row = args.rows + p * args.row_elements;
      for (int64_t c = 0; c < args.value_elements; ++c) {
        out[c] += scores[p] * row[c];
      }
    }
  }
}

}  // namespace mlad::scalar
