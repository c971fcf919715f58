// The tiles of AMX: 16 rows of 64 bytes at most. Only for files compiled for
// AMX TILE and INT8.
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/tile_shapes.h"

namespace mlad::amx {
namespace {

struct Tiles {
  /// Takes the tiles into use by this thread, until Release.
  static void Configure(const TileShapes& shapes) {
    Config config = {};
    config.palette = 1;
    for (int tile = 0; tile < kTiles; ++tile) {
      config.rows[tile] = static_cast<uint8_t>(shapes.rows[tile]);
      config.row_bytes[tile] = static_cast<uint16_t>(shapes.row_bytes[tile]);
    }
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
