#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "kernels/scalar_kernels.h"

namespace mlad::scalar {
namespace {

/// Where byte `column` of vector `i` is.
int64_t CodeIndex(int64_t i, int64_t column, int64_t columns) {
  const int64_t block = i / kCodeQueries;
  const int64_t group = column / 4;
  return ((block * (columns / 4) + group) * kCodeQueries + i % kCodeQueries) *
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

/// Of vector `i` and a row's codes, times the vector's scale.
float Dot(const QueryCodes& q, int64_t i, const int8_t* codes,
          int64_t columns) {
  int32_t high = 0;
  int32_t low = 0;
  for (int64_t c = 0; c < columns; ++c) {
    const int64_t at = CodeIndex(i, c, columns);
    high += (q.high[at] - 128) * codes[c];
    if (q.low != nullptr) low += q.low[at] * codes[c];
  }
  const float dot =
      q.low == nullptr
          ? static_cast<float>(high)
          : std::fma(256.0f, static_cast<float>(high), static_cast<float>(low));
  return dot * q.scale[i];
}

/// The positions that query `i` sees.
int64_t Visible(const CodedTileArgs& args, int64_t i) {
  return std::clamp<int64_t>(args.visible + i * args.visible_step, 0,
                             args.rows.positions);
}

/// weights[p] to whole numbers of `unit`, which is returned.
float EncodeWeights(const float* weights, int64_t positions, int32_t* codes) {
  float peak = 0;
  for (int64_t p = 0; p < positions; ++p) {
    if (std::isnan(peak)) break;
    if (!(weights[p] <= peak)) peak = weights[p];
  }
  const float inverse = peak > 0 ? 255.0f / peak : 0;
  for (int64_t p = 0; p < positions; ++p) {
    codes[p] = inverse > 0
                   ? static_cast<int32_t>(std::nearbyint(weights[p] * inverse))
                   : 0;
  }
  return peak * (1.0f / 255);
}

}  // namespace

void EncodeQueries(const float* x, int64_t vectors, int64_t columns,
                   int64_t x_stride, const QueryCodes& out) noexcept {
  const bool wide = out.low != nullptr;
  const float largest = wide ? 32767 : 127;
  for (int64_t i = 0; i < QueryCodeBlocks(vectors) * kCodeQueries; ++i) {
    const float* row = x + i * x_stride;
    float peak = 0;
    bool finite = true;
    for (int64_t c = 0; i < vectors && c < columns; ++c) {
      finite = finite && std::isfinite(row[c]);
      peak = std::max(peak, std::fabs(row[c]));
    }
    const bool has_codes = finite && peak >= kSmallestActivation;
    out.scale[i] = has_codes ? peak / largest
                   : finite  ? 0
                             : std::numeric_limits<float>::quiet_NaN();
    const float inverse = has_codes ? largest / peak : 0;
    for (int64_t c = 0; c < columns; ++c) {
      const int32_t code =
          has_codes ? static_cast<int32_t>(std::nearbyint(row[c] * inverse))
                    : 0;
      const int64_t at = CodeIndex(i, c, columns);
      if (wide) {
        out.high[at] = static_cast<uint8_t>((code + 32768) >> 8);
        out.low[at] = static_cast<uint8_t>((code + 32768) & 255);
      } else {
        out.high[at] = static_cast<uint8_t>(code + 128);
      }
    }
  }
}

void Project(const ProjectArgs& args) noexcept {
  for (int64_t p = 0; p < args.rows.positions; ++p) {
    const Row row(args.rows.Row(p));
    for (int64_t i = 0; i < args.outputs; ++i) {
      args.out[p * args.out_stride + i] =
          Dot(args.matrix, i, row.codes, args.columns) * row.scale;
    }
  }
}

void PackValues(const CodedRows& rows, int64_t value_elements, int8_t* values,
                float* scales) noexcept {
  for (int64_t p = 0; p < rows.positions; ++p) {
    scales[p] = Row(rows.Row(p)).scale;
  }
  for (int64_t p = 0; p < rows.positions; p += kCodePositions) {
    for (int64_t c = 0; c < value_elements; ++c) {
      for (int64_t i = 0; i < kCodePositions; ++i) {
        *values++ = p + i < rows.positions ? Row(rows.Row(p + i)).codes[c] : 0;
      }
    }
  }
}

void AttendCodes(const CodedTileArgs& args) noexcept {
  MLAD_DCHECK(args.rows.positions <= kMaxCodedPositions);
  float weights[kMaxCodedPositions];
  int32_t codes[kMaxCodedPositions];
  for (int64_t i = 0; i < args.queries; ++i) {
    const int64_t positions = Visible(args, i);
    if (positions == 0) continue;
    for (int64_t p = 0; p < positions; ++p) {
      const Row row(args.rows.Row(p));
      weights[p] = Dot(args.q, i, row.codes, args.rows.row_elements) *
                   (row.scale * args.scale);
    }
    const float factor = SoftmaxUpdate(weights, positions, args.state.peak + i,
                                       args.state.sum + i);
    for (int64_t p = 0; p < positions; ++p) weights[p] *= args.value_scales[p];
    const float unit = EncodeWeights(weights, positions, codes);
    float* out = args.state.out + i * args.value_elements;
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
