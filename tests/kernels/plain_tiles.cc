// Compiled for AVX-512, which the kernels need besides the tiles.
#include "tests/kernels/plain_tiles.h"

#include <cstdlib>

#include "kernels/tile_code_products.h"
#include "kernels/tile_matmul.h"

namespace mlad::plain_tiles {
namespace {

/// As amx::Tiles. What the hardware refuses ends the program.
class PlainTiles {
 public:
  static void Configure(const amx::TileShapes& shapes) { tiles = {shapes, {}}; }
  static void Release() { tiles = {}; }

  template <int kTile>
  static void Zero() {
    for (int row = 0; row < RowsOf(kTile); ++row) {
      __builtin_memset(tiles.bytes[kTile][row], 0, BytesOf(kTile));
    }
  }
  template <int kTile>
  static void Load(const void* from, int64_t stride) {
    for (int row = 0; row < RowsOf(kTile); ++row) {
      __builtin_memcpy(tiles.bytes[kTile][row],
                       static_cast<const std::byte*>(from) + row * stride,
                       BytesOf(kTile));
    }
  }
  template <int kTile>
  static void Store(int32_t* to) {
    for (int row = 0; row < RowsOf(kTile); ++row) {
      __builtin_memcpy(to + int64_t{row} * 16, tiles.bytes[kTile][row],
                       BytesOf(kTile));
    }
  }
  template <int kTo, int kA, int kB>
  static void AddSignedSigned() {
    Add<int8_t, int8_t>(kTo, kA, kB);
  }
  template <int kTo, int kA, int kB>
  static void AddSignedUnsigned() {
    Add<int8_t, uint8_t>(kTo, kA, kB);
  }
  template <int kTo, int kA, int kB>
  static void AddUnsignedSigned() {
    Add<uint8_t, int8_t>(kTo, kA, kB);
  }

 private:
  struct All {
    amx::TileShapes shapes;
    alignas(64) std::byte bytes[amx::kTiles][16][64];
  };
  static thread_local All tiles;

  static int RowsOf(int tile) {
    if (tiles.shapes.rows[tile] == 0) std::abort();
    return tiles.shapes.rows[tile];
  }
  static int BytesOf(int tile) { return tiles.shapes.row_bytes[tile]; }

  template <typename Left, typename Right>
  static void Add(int to, int left, int right) {
    if (RowsOf(to) != RowsOf(left)) std::abort();
    if (RowsOf(right) * 4 != BytesOf(left)) std::abort();
    for (int i = 0; i < RowsOf(to); ++i) {
      auto* sums = reinterpret_cast<int32_t*>(tiles.bytes[to][i]);
      for (int j = 0; j < 16; ++j) {
        for (int k = 0; k < BytesOf(left); ++k) {
          sums[j] +=
              static_cast<Left>(tiles.bytes[left][i][k]) *
              static_cast<Right>(tiles.bytes[right][k / 4][4 * j + k % 4]);
        }
      }
    }
  }
};
thread_local PlainTiles::All PlainTiles::tiles;

}  // namespace

void MatMulQuantized(const MatMulArgs& args) noexcept {
  ForRunsOfBits(args, [](const MatMulArgs& run, ActivationBits bits) {
    ForBlockFormat(run.w.format, [&]<PackedFormat kFormat>() {
      if (bits == ActivationBits::k8) {
        amx::TileMatMul<PlainTiles, kFormat, true>::Run(run);
      } else {
        amx::TileMatMul<PlainTiles, kFormat, false>::Run(run);
      }
    });
  });
}

void Project(const ProjectArgs& args) noexcept {
  avx512::ProjectWith<amx::TileCodeProducts<PlainTiles>>(args);
}

void Attend(const CodedTileArgs& args) noexcept {
  avx512::AttendWith<amx::TileCodeProducts<PlainTiles>>(args);
}

}  // namespace mlad::plain_tiles
