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
  static void Configure(const amx::TileDepths& depths) {
    tiles = {};
    for (int tile = 0; tile < amx::kLeft; ++tile) Shape(tile, 16, 64);
    Shape(amx::kLeft, 16, depths.depth);
    Shape(amx::kLeftRest, 16, depths.rest);
    Shape(amx::kRight, depths.depth / 4, 64);
    Shape(amx::kRight + 1, depths.depth / 4, 64);
    Shape(amx::kRightRest, depths.rest / 4, 64);
  }
  static void Release() { tiles = {}; }

  template <int kTile>
  static void Zero() {
    const Shapes& shape = InUse(kTile);
    for (int row = 0; row < shape.rows; ++row) {
      __builtin_memset(tiles.bytes[kTile][row], 0, shape.row_bytes);
    }
  }
  template <int kTile>
  static void Load(const void* from, int64_t stride) {
    const Shapes& shape = InUse(kTile);
    for (int row = 0; row < shape.rows; ++row) {
      __builtin_memcpy(tiles.bytes[kTile][row],
                       static_cast<const std::byte*>(from) + row * stride,
                       shape.row_bytes);
    }
  }
  template <int kTile>
  static void Store(int32_t* to) {
    const Shapes& shape = InUse(kTile);
    for (int row = 0; row < shape.rows; ++row) {
      __builtin_memcpy(to + row * 16, tiles.bytes[kTile][row], 64);
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
  struct Shapes {
    int rows, row_bytes;
  };
  struct All {
    Shapes shapes[8];
    alignas(64) std::byte bytes[8][16][64];
  };
  static thread_local All tiles;

  static void Shape(int tile, int rows, int row_bytes) {
    if (rows > 0 && row_bytes > 0) tiles.shapes[tile] = {rows, row_bytes};
  }
  static const Shapes& InUse(int tile) {
    if (tiles.shapes[tile].rows == 0) std::abort();
    return tiles.shapes[tile];
  }

  template <typename Left, typename Right>
  static void Add(int to, int left, int right) {
    const int depth = InUse(left).row_bytes;
    if (InUse(right).rows * 4 != depth) std::abort();
    for (int i = 0; i < InUse(to).rows; ++i) {
      auto* sums = reinterpret_cast<int32_t*>(tiles.bytes[to][i]);
      for (int j = 0; j < 16; ++j) {
        for (int k = 0; k < depth; ++k) {
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

void MatMulNarrow(const MatMulArgs& args) noexcept {
  ForBlockFormat(args.w.format, [&]<PackedFormat kFormat>() {
    amx::TileMatMul<PlainTiles, kFormat>::Run(args);
  });
}

void Project(const ProjectArgs& args) noexcept {
  avx512::ProjectWith<amx::TileCodeProducts<PlainTiles>>(args);
}

void Attend(const CodedTileArgs& args) noexcept {
  avx512::AttendWith<amx::TileCodeProducts<PlainTiles>>(args);
}

}  // namespace mlad::plain_tiles
