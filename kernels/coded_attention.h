// Attention on codes of eight bits, whose sums are exact: part of the kernels'
// contract (kernel_contract.h). Tables have all of it or none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/softmax_state.h"

namespace mlad {

/// Queries whose codes lie side by side, and positions whose values do.
inline constexpr int kCodeQueries = 16;
inline constexpr int kCodePositions = 4;
/// Positions of a tile at most.
inline constexpr int kMaxCodedPositions = 128;
/// Numbers of columns are multiples of this.
inline constexpr int kCodeColumns = 16;

/// Some vectors of floats as whole numbers of 8 bits, 16 vectors side by side:
/// queries, or rows of a matrix. With peak = max |x[c]| of the vector:
///   scale = peak / 127;  code[c] = round(x[c] * (127 / peak)) + 128
/// Columns from tail_begin on may have a scale of their own: an absorbed
/// query's rotated part has another magnitude than the rest. Numbers without a
/// finite, positive peak have codes of zero and a scale of 0, or NaN where one
/// of them is not finite. Vectors that fill up the last 16 have scale 0.
struct QueryCodes {
  uint8_t* codes = nullptr;     // [blocks of 16, columns / 4, kCodeQueries, 4]
  float* scale = nullptr;       // [blocks of 16, kCodeQueries]
  float* tail_scale = nullptr;  // the same; null: no tail
  int64_t tail_begin = 0;       // a multiple of kCodeColumns
};
inline constexpr int64_t QueryCodeBlocks(int64_t queries) {
  return (queries + kCodeQueries - 1) / kCodeQueries;
}

/// Stored Q8_KV rows (quant/kv_type.h) in runs of equal length.
struct CodedRows {
  const std::byte* const* runs = nullptr;
  int64_t run_positions = 0;
  int64_t positions = 0;     // kMaxCodedPositions at most
  int64_t row_elements = 0;  // as stored

  const std::byte* Row(int64_t p) const { return RowOf(runs, p); }
  /// Row p of runs of the same length.
  const std::byte* RowOf(const std::byte* const* of_runs, int64_t p) const {
    return of_runs[p / run_positions] +
           p % run_positions * RowBytes(row_elements);
  }
  /// What row p's codes are multiplied with, and their sum.
  float Scale(int64_t p) const {
    float scale;
    std::memcpy(&scale, Row(p), sizeof(scale));
    return scale;
  }
  int32_t Sum(int64_t p) const {
    int32_t sum;
    std::memcpy(&sum, Row(p) + sizeof(float), sizeof(sum));
    return sum;
  }
  static constexpr int kHeaderBytes = 8;
  static constexpr int64_t RowBytes(int64_t row_elements) {
    return kHeaderBytes + row_elements;
  }
};

struct ProjectArgs {
  CodedRows rows;
  int64_t columns = 0;  // of the rows, from the first on
  QueryCodes matrix;    // its rows are the vectors, [outputs, columns]
  int64_t outputs = 0;  // a multiple of kCodeQueries
  float* out = nullptr;
  int64_t out_stride = 0;  // floats
};

struct CodedTileArgs {
  int64_t queries = 0;
  QueryCodes q;
  CodedRows rows;
  /// Runs of the rows that will be read next, as many as `rows` has: fetched
  /// while these are computed. Null: none.
  const std::byte* const* next_runs = nullptr;
  /// Positions that query 0 sees; each further one sees this many more.
  int64_t visible = kMaxCodedPositions;
  int64_t visible_step = 0;
  int64_t value_elements = 0;
  /// Of all positions, by pack_values, and their scales.
  const int8_t* values = nullptr;
  const float* value_scales = nullptr;  // [positions]
  float scale = 0;
  SoftmaxState state;  // a head is a query
};

struct CodedAttention {
  /// In  x [vectors, columns] f32, row stride x_stride floats
  void (*encode_queries)(const float* x, int64_t vectors, int64_t columns,
                         int64_t x_stride, const QueryCodes& out) noexcept;
  /// out[p][i] = (dot of codes * matrix.scale[i]) * scale of row p
  void (*project)(const ProjectArgs& args) noexcept;
  /// The scales of the rows, and the codes of their first value_elements
  /// columns, of four positions side by side.
  /// Out  values [ceil(positions / 4), value_elements, 4] i8, 0 past the end;
  ///      scales [positions]
  void (*pack_values)(const CodedRows& rows, int64_t value_elements,
                      int8_t* values, float* scales) noexcept;
  /// Attention of some queries against one tile. For each of them, over the
  /// positions that it sees, with the sums over codes exact, d[p] the scale of
  /// row p and e[p] that of value p:
  ///   s[p] = (dot of codes * q.scale) * (d[p] * scale), with a tail the sum of
  ///          two such
  ///   peak, sum <- online softmax update;  w[p] = exp(s[p] - peak) * e[p]
  ///   m = max w[p];  u[p] = round(w[p] * (255 / m))
  ///   out <- out * exp(old peak - peak) + m / 255 * sum_p u[p] value[p]
  /// A value's weight is off by at most m / 510. Each query gets the same
  /// operations whatever the others.
  void (*attend)(const CodedTileArgs& args) noexcept;
};

}  // namespace mlad
