#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "kernels/scalar_kernels.h"

namespace mlad::scalar {
namespace {

constexpr int32_t kCodeZero = 32768;
constexpr float kQueryPeak = 32767;

/// Where byte `column` of head `head` is.
int64_t CodeIndex(int64_t head, int64_t column, int64_t row_elements) {
  const int64_t block = head / kCodeHeads;
  const int64_t group = column / 4;
  return ((block * (row_elements / 4) + group) * kCodeHeads +
          head % kCodeHeads) *
             4 +
         column % 4;
}

struct Row {
  float scale;
  const int8_t* codes;

  explicit Row(const std::byte* stored)
      : codes(reinterpret_cast<const int8_t*>(stored) +
              CodedRows::kHeaderBytes) {
    std::memcpy(&scale, stored, sizeof(scale));
  }
};

float Score(const CodedTileArgs& args, int64_t head, int64_t position) {
  const Row row(args.rows.Row(position));
  int32_t high = 0, low = 0;
  for (int64_t c = 0; c < args.rows.row_elements; ++c) {
    const int64_t at = CodeIndex(head, c, args.rows.row_elements);
    high += (args.q.high[at] - 128) * row.codes[c];
    low += args.q.low[at] * row.codes[c];
  }
  const float dot =
      std::fma(256.0f, static_cast<float>(high), static_cast<float>(low));
  return dot * args.q.scale[head] * (row.scale * args.scale);
}

}  // namespace

void EncodeQueries(const float* q, int64_t heads, int64_t row_elements,
                   const QueryCodes& out) noexcept {
  for (int64_t h = 0; h < QueryCodeBlocks(heads) * kCodeHeads; ++h) {
    const float* row = q + h * row_elements;
    float peak = 0;
    bool finite = true;
    for (int64_t c = 0; h < heads && c < row_elements; ++c) {
      finite = finite && std::isfinite(row[c]);
      peak = std::max(peak, std::fabs(row[c]));
    }
    const bool has_codes = finite && peak >= kSmallestActivation;
    out.scale[h] = has_codes ? peak / kQueryPeak
                   : finite  ? 0
                             : std::numeric_limits<float>::quiet_NaN();
    const float inverse = has_codes ? kQueryPeak / peak : 0;
    for (int64_t c = 0; c < row_elements; ++c) {
      const int32_t code =
          kCodeZero +
          (has_codes ? static_cast<int32_t>(std::nearbyint(row[c] * inverse))
                     : 0);
      const int64_t at = CodeIndex(h, c, row_elements);
      out.high[at] = static_cast<uint8_t>(code >> 8);
      out.low[at] = static_cast<uint8_t>(code & 255);
    }
  }
}

void PackValues(const CodedRows& rows, int64_t value_elements,
                int8_t* out) noexcept {
  for (int64_t p = 0; p < rows.positions; p += kCodePositions) {
    for (int64_t c = 0; c < value_elements; ++c) {
      for (int64_t i = 0; i < kCodePositions; ++i) {
        *out++ = p + i < rows.positions ? Row(rows.Row(p + i)).codes[c] : 0;
      }
    }
  }
}

void AttendCodes(const CodedTileArgs& args) noexcept {
  MLAD_DCHECK(args.rows.positions <= kMaxCodedPositions);
  const int64_t positions = args.rows.positions;
  if (positions == 0) return;
  float weights[kMaxCodedPositions];
  int32_t codes[kMaxCodedPositions];
  for (int64_t h = 0; h < args.heads; ++h) {
    for (int64_t p = 0; p < positions; ++p) weights[p] = Score(args, h, p);
    const float factor = SoftmaxUpdate(weights, positions, args.state.peak + h,
                                       args.state.sum + h);
    float peak = 0;
    for (int64_t p = 0; p < positions; ++p) {
      weights[p] *= Row(args.rows.Row(p)).scale;
      if (!(weights[p] <= peak)) peak = weights[p];  // a NaN stays
    }
    const float inverse = peak > 0 ? 255.0f / peak : 0;
    for (int64_t p = 0; p < positions; ++p) {
      codes[p] =
          inverse > 0
              ? static_cast<int32_t>(std::nearbyint(weights[p] * inverse))
              : 0;
    }
    float* out = args.state.out + h * args.value_elements;
    const float unit = peak * (1.0f / 255);
    for (int64_t c = 0; c < args.value_elements; ++c) {
      int32_t sum = 0;
      for (int64_t p = 0; p < positions; ++p) {
        sum += codes[p] *
               args.values[(p / kCodePositions * args.value_elements + c) *
                               kCodePositions +
                           p % kCodePositions];
      }
      out[c] = std::fma(unit, static_cast<float>(sum), out[c] * factor);
    }
  }
}

}  // namespace mlad::scalar
