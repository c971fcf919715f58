#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "kernels/scalar_kernels.h"
#include "kernels/scalar_peak.h"

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

const int8_t* CodesOf(const CodedRows& rows, int64_t p) {
  return reinterpret_cast<const int8_t*>(rows.Row(p) + CodedRows::kHeaderBytes);
}

/// Of columns [begin, end) of vector `i` and a row's codes, whose scales count
/// apart.
float Dot(const QueryCodes& q, int64_t i, const int8_t* codes, int64_t columns,
          int64_t begin, int64_t end) {
  int32_t dot = 0;
  for (int64_t c = begin; c < end; ++c) {
    dot += (q.codes[CodeIndex(i, c, columns)] - 128) * codes[c];
  }
  return static_cast<float>(dot);
}

float Score(const CodedTileArgs& args, int64_t i, int64_t p) {
  const int64_t columns = args.rows.row_elements;
  const bool has_tail = args.q.tail_scale != nullptr;
  const int64_t tail = has_tail ? args.q.tail_begin : columns;
  const float unit = args.rows.Scale(p) * args.scale;
  const int8_t* codes = CodesOf(args.rows, p);
  const float score =
      Dot(args.q, i, codes, columns, 0, tail) * args.q.scale[i] * unit;
  if (!has_tail) return score;
  return std::fma(
      Dot(args.q, i, codes, columns, tail, columns) * args.q.tail_scale[i],
      unit, score);
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

/// Columns [begin, end) of vector `i`, which is `x`, or zeros where that is
/// null; returns their scale.
float EncodePart(const float* x, int64_t i, int64_t begin, int64_t end,
                 int64_t columns, uint8_t* codes) {
  const float peak = x == nullptr ? 0 : PeakMagnitude(x + begin, end - begin);
  const bool finite = std::isfinite(peak);
  const bool has_codes = finite && peak >= kSmallestActivation;
  const float inverse = has_codes ? 127.0f / peak : 0;
  for (int64_t c = begin; c < end; ++c) {
    const int32_t code =
        has_codes ? static_cast<int32_t>(std::nearbyint(x[c] * inverse)) : 0;
    codes[CodeIndex(i, c, columns)] = static_cast<uint8_t>(code + 128);
  }
  return has_codes ? peak / 127.0f
         : finite  ? 0
                   : std::numeric_limits<float>::quiet_NaN();
}

}  // namespace

void EncodeQueries(const float* x, int64_t vectors, int64_t columns,
                   int64_t x_stride, const QueryCodes& out) noexcept {
  const bool has_tail = out.tail_scale != nullptr;
  const int64_t tail = has_tail ? out.tail_begin : columns;
  for (int64_t i = 0; i < QueryCodeBlocks(vectors) * kCodeQueries; ++i) {
    const float* row = i < vectors ? x + i * x_stride : nullptr;
    out.scale[i] = EncodePart(row, i, 0, tail, columns, out.codes);
    if (has_tail) {
      out.tail_scale[i] = EncodePart(row, i, tail, columns, columns, out.codes);
    }
  }
}

void Project(const ProjectArgs& args) noexcept {
  for (int64_t p = 0; p < args.rows.positions; ++p) {
    for (int64_t i = 0; i < args.outputs; ++i) {
      args.out[p * args.out_stride + i] =
          Dot(args.matrix, i, CodesOf(args.rows, p), args.columns, 0,
              args.columns) *
          args.matrix.scale[i] * args.rows.Scale(p);
    }
  }
}

void PackValues(const CodedRows& rows, int64_t value_elements, int8_t* values,
                float* scales) noexcept {
  for (int64_t p = 0; p < rows.positions; ++p) {
    scales[p] = rows.Scale(p);
  }
  for (int64_t p = 0; p < rows.positions; p += kCodePositions) {
    for (int64_t c = 0; c < value_elements; ++c) {
      for (int64_t i = 0; i < kCodePositions; ++i) {
        *values++ = p + i < rows.positions ? CodesOf(rows, p + i)[c] : 0;
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
      weights[p] = Score(args, i, p);
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
