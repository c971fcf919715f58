// Absorbed attention on the codes of Q8_KV rows: part of the kernels' contract
// (kernel_contract.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/softmax_state.h"

namespace mlad {

/// Heads whose codes lie side by side, and positions whose values do.
inline constexpr int kCodeHeads = 16;
inline constexpr int kCodePositions = 4;
/// Positions of a tile at most.
inline constexpr int kMaxCodedPositions = 128;
/// row_elements and value_elements are multiples of this.
inline constexpr int kCodeColumns = 16;

/// Queries of some heads of one token as 16-bit whole numbers:
///   peak = max |q[c]| of the head;  scale = peak / 32767
///   code[c] = round(q[c] * (32767 / peak)) + 32768 = 256 high + low
/// A head without a finite, positive peak has codes of 32768 and a scale of 0,
/// or NaN where a number is not finite. Heads that fill up the last block have
/// scale 0.
struct QueryCodes {
  uint8_t* high = nullptr;  // [blocks, row_elements / 4, kCodeHeads, 4]
  uint8_t* low = nullptr;   // the same
  float* scale = nullptr;   // [blocks, kCodeHeads]
};
inline constexpr int64_t QueryCodeBlocks(int64_t heads) {
  return (heads + kCodeHeads - 1) / kCodeHeads;
}

/// A tile of stored Q8_KV rows (quant/kv_type.h) in runs of equal length.
struct CodedRows {
  const std::byte* const* runs = nullptr;
  int64_t run_positions = 0;
  int64_t positions = 0;
  int64_t row_elements = 0;

  const std::byte* Row(int64_t p) const {
    return runs[p / run_positions] +
           p % run_positions * (kHeaderBytes + row_elements);
  }
  static constexpr int kHeaderBytes = 8;
};

struct CodedTileArgs {
  int64_t heads = 0;
  CodedRows rows;              // that the token sees
  int64_t value_elements = 0;  // kv_lora_rank
  QueryCodes q;
  /// Of at least rows.positions positions, by pack_values.
  const int8_t* values = nullptr;
  float scale = 0;
  SoftmaxState state;
};

/// Null in tables where decoding rows to floats is faster.
struct CodedAttention {
  /// In  q [heads, row_elements] f32
  void (*encode_queries)(const float* q, int64_t heads, int64_t row_elements,
                         const QueryCodes& out) noexcept;
  /// The codes of the first value_elements columns, of four positions side by
  /// side: out [ceil(positions / 4), value_elements, 4] i8; 0 past the end.
  void (*pack_values)(const CodedRows& rows, int64_t value_elements,
                      int8_t* out) noexcept;
  /// Absorbed attention of one token against one tile. Per head, with the sums
  /// over codes exact and d[p] the scale of row p:
  ///   s[p] = (dot of codes * q.scale) * (d[p] * scale)
  ///   peak, sum <- online softmax update;  w[p] = exp(s[p] - peak) * d[p]
  ///   m = max w[p];  u[p] = round(w[p] * (255 / m))
  ///   out <- out * exp(old peak - peak) + m / 255 * sum_p u[p] value[p]
  /// A value's weight is off by at most m / 510. Each head gets the same
  /// operations whatever the others.
  void (*attend)(const CodedTileArgs& args) noexcept;
};

}  // namespace mlad
