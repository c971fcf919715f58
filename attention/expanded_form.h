// The two forms in which a tile of positions is expanded and attended to, one
// as floats and one as codes: what expanded.cc runs over the tiles of a chunk.
#pragma once

#include <cstddef>
#include <cstdint>

#include "attention/expanded.h"
#include "numa/bump_allocator.h"
#include "numa/work_range.h"

namespace mlad {

/// Positions [begin, begin + count) of the sequence.
struct ExpandedTile {
  int64_t begin = 0;
  int64_t count = 0;
};

/// Floats from one row of a head's output to the next while it is computed.
inline int64_t ValueStride(const ExpandedShape& shape) {
  return (shape.v_dim + kCodeColumns - 1) / kCodeColumns * kCodeColumns;
}

/// Stored rows of `count` positions from `position` on, all of one page; counts
/// their reading.
const std::byte* ReadRows(const ExpandedChunk& chunk, int64_t position,
                          int64_t count);

/// Any cache type.
class ExpandedFloats {
 public:
  /// Lays its buffers out; `memory` may only measure.
  ExpandedFloats(const ExpandedShape& shape, BumpAllocator& memory);

  void BeginHead(const ExpandedChunk&, int64_t /*head*/) {}
  /// Decodes the tile's latents and places the part of the keys that all heads
  /// share.
  void BeginTile(const ExpandedChunk& chunk, ExpandedTile tile);
  /// The keys and values of one head over the tile.
  void Expand(const ExpandedChunk& chunk, int64_t head, ExpandedTile tile);
  /// Rows from `first_row` on, of the head that was expanded last.
  void Attend(const ExpandedChunk& chunk, int64_t head,
              const SoftmaxState& state, ExpandedTile tile, int64_t first_row);

 private:
  void AttendRows(const ExpandedChunk& chunk, const ExpandedHead& head,
                  const SoftmaxState& state, ExpandedTile tile, WorkRange rows);

  float* latents_;  // [kExpandedTile, row_elements]
  float* k_nope_;   // [kExpandedTile, qk_nope]
  float* keys_;     // [qk_dim, kExpandedTile]: a position is a column
  float* values_;   // [kExpandedTile, v_dim]
  float* scores_;   // [kExpandedRows, kExpandedTile]
};

/// Q8_KV, with tables that have CodedAttention: keys and values of a tile are
/// rows of codes in their turn, with a scale for each position.
class ExpandedCodes {
 public:
  static bool Serves(const ExpandedChunk& chunk);

  /// For `rows` rows of `heads` heads.
  ExpandedCodes(const ExpandedShape& shape, int64_t rows, int64_t heads,
                BumpAllocator& memory);

  /// Encodes the head's matrices and its queries.
  void BeginHead(const ExpandedChunk& chunk, int64_t head);
  /// Copies the tile's rows, so that pages of other nodes are read once, and
  /// decodes the part of the keys that all heads share.
  void BeginTile(const ExpandedChunk& chunk, ExpandedTile tile);
  void Expand(const ExpandedChunk& chunk, int64_t head, ExpandedTile tile);
  void Attend(const ExpandedChunk& chunk, int64_t head,
              const SoftmaxState& state, ExpandedTile tile, int64_t first_row);

 private:
  QueryCodes MatrixOfHead(int64_t head) const;
  QueryCodes QueriesOfHead(int64_t head) const;
  void EncodeColumns(const ExpandedChunk& chunk, const float* w, int64_t count,
                     int64_t first_vector, const QueryCodes& out);

  int64_t rank_;
  int64_t value_columns_;  // and vectors of W_uv, rounded up
  int64_t nope_columns_;   // and vectors of W_uk, rounded up
  int64_t key_columns_;    // of nope and rope, both rounded up
  int64_t rows_;           // rounded up

  QueryCodes matrices_;    // [heads, value_columns + nope_columns, rank]
  QueryCodes queries_;     // [heads, rows, key_columns]
  float* block_;           // [kCodeQueries, max(rank, key_columns)]
  std::byte* latents_;     // [kExpandedTile] rows as stored
  float* expanded_;        // [kExpandedTile, value_columns + key_columns]
  std::byte* keys_;        // [kExpandedTile] Q8_KV rows of key_columns
  std::byte* value_rows_;  // [kExpandedTile] Q8_KV rows of value_columns
  int8_t* values_;         // [kExpandedTile, value_columns], packed
  float* value_scales_;    // [kExpandedTile]
};

}  // namespace mlad
