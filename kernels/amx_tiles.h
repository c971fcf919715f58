// The tiles of AMX: 16 rows of 64 bytes at most. Only for files compiled for
// AMX TILE and INT8.
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/tile_shapes.h"

namespace mlad::amx {
namespace {

/// A tile of left operands is [16, depth] bytes, one of right operands
/// [depth / 4, 16, 4], and one of sums [16, 16] int32:
///   sums[i][j] += sum_k left[i][k] * right[k / 4][j][k % 4]
/// There are two pairs of depths, to multiply by: see tile_shapes.h.
struct Tiles {
  /// Takes the tiles into use by this thread, until Release.
  static void Configure(const TileDepths& depths) {
    Config config = {};
    config.palette = 1;
    const auto set = [&](int tile, int rows, int row_bytes) {
      config.rows[tile] = static_cast<uint8_t>(rows);
      config.row_bytes[tile] = static_cast<uint16_t>(rows == 0 ? 0 : row_bytes);
    };
    for (int tile = kSums; tile < kLeft; ++tile) set(tile, 16, 64);
    set(kLeft, 16, depths.depth);
    set(kLeftRest, depths.rest == 0 ? 0 : 16, depths.rest);
    set(kRight, depths.depth / 4, 64);
    set(kRight + 1, depths.depth / 4, 64);
    set(kRightRest, depths.rest / 4, 64);
    _tile_loadconfig(&config);
  }
  static void Release() { _tile_release(); }

  // As instructions: g++ 12 does not know that its intrinsics touch memory, and
  // takes no template arguments for their operands.
  template <int kTile>
  static void Zero() {
    __asm__ volatile("tilezero %%tmm%c0" : : "i"(kTile));
  }
  template <int kTile>
  static void Load(const void* from, int64_t stride) {
    __asm__ volatile("tileloadd (%1,%2,1), %%tmm%c0"
                     :
                     : "i"(kTile), "r"(from), "r"(stride)
                     : "memory");
  }
  template <int kTile>
  static void Store(int32_t* to) {
    __asm__ volatile("tilestored %%tmm%c0, (%1,%2,1)"
                     :
                     : "i"(kTile), "r"(to), "r"(int64_t{64})
                     : "memory");
  }
  // By whether the left and the right operands have a sign.
  template <int kTo, int kA, int kB>
  static void AddSignedSigned() {
    __asm__ volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0"
                     :
                     : "i"(kTo), "i"(kA), "i"(kB));
  }
  template <int kTo, int kA, int kB>
  static void AddSignedUnsigned() {
    __asm__ volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0"
                     :
                     : "i"(kTo), "i"(kA), "i"(kB));
  }
  template <int kTo, int kA, int kB>
  static void AddUnsignedSigned() {
    __asm__ volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0"
                     :
                     : "i"(kTo), "i"(kA), "i"(kB));
  }

 private:
  struct alignas(64) Config {  // of ldtilecfg
    uint8_t palette;
    uint8_t start_row;
    uint8_t reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  };
};

}  // namespace
}  // namespace mlad::amx
