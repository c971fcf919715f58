// Which tile of a matrix unit holds what, for kernels that are written for any.
#pragma once

namespace mlad::amx {

inline constexpr int kTileRows = 16;  // of left operands and sums
inline constexpr int kTileColumns = 16;
inline constexpr int kTileDepth = 64;  // products of a sum, at most

/// Tiles by number. What a left one multiplies is in a right one of the same
/// depth.
inline constexpr int kSums = 0;  // and 1 and 2
inline constexpr int kLeft = 3;
inline constexpr int kLeftRest = 4;
inline constexpr int kRight = 5;  // and 6
inline constexpr int kRightRest = 7;

struct TileDepths {
  int depth = kTileDepth;  // of kLeft and kRight, a multiple of 4
  int rest = 0;            // of kLeftRest and kRightRest; 0: not in use
};

}  // namespace mlad::amx
