// Which tile of a matrix unit holds what, for kernels that are written for any.
#pragma once

namespace mlad::amx {

inline constexpr int kTiles = 8;
inline constexpr int kTileRows = 16;  // at most, like the next two
inline constexpr int kTileColumns = 16;
inline constexpr int kTileDepth = 64;  // products of a sum

/// Rows of each tile and their bytes; none: not in use. A tile of left operands
/// is [rows, depth] bytes, one of right operands [depth / 4, 16, 4], and one of
/// sums [rows, 16] int32:
///   sums[i][j] += sum_k left[i][k] * right[k / 4][j][k % 4]
struct TileShapes {
  int rows[kTiles] = {};
  int row_bytes[kTiles] = {};

  constexpr void SetSums(int tile, int count = kTileRows) {
    rows[tile] = count;
    row_bytes[tile] = kTileColumns * 4;
  }
  constexpr void SetLeft(int tile, int depth, int count = kTileRows) {
    rows[tile] = depth > 0 ? count : 0;
    row_bytes[tile] = depth;
  }
  constexpr void SetRight(int tile, int depth) {
    rows[tile] = depth / 4;
    row_bytes[tile] = depth > 0 ? kTileColumns * 4 : 0;
  }
};

}  // namespace mlad::amx
