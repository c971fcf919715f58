// The most products the matrix unit of a core can do, see
// KernelTable::peak_int8.
#include "kernels/amx_kernels.h"
#include "kernels/amx_tiles.h"

namespace mlad::amx {

int64_t PeakInt8(int64_t rounds) noexcept {
  constexpr int kSums = 4;  // a product takes longer than three take to begin
  constexpr int kLeft = 4;
  constexpr int kRight = 5;
  alignas(64) int8_t ones[kTileRows * kTileDepth];
  for (auto& one : ones) one = 1;
  TileShapes shapes;
  for (int tile = 0; tile < kSums; ++tile) shapes.SetSums(tile);
  shapes.SetLeft(kLeft, kTileDepth);
  shapes.SetRight(kRight, kTileDepth);
  Tiles::Configure(shapes);
  Tiles::Load<kLeft>(ones, kTileDepth);
  Tiles::Load<kRight>(ones, kTileColumns * 4);
  Tiles::Zero<0>();
  Tiles::Zero<1>();
  Tiles::Zero<2>();
  Tiles::Zero<3>();
  for (int64_t r = 0; r < rounds; ++r) {
    Tiles::AddSignedSigned<0, kLeft, kRight>();
    Tiles::AddSignedSigned<1, kLeft, kRight>();
    Tiles::AddSignedSigned<2, kLeft, kRight>();
    Tiles::AddSignedSigned<3, kLeft, kRight>();
  }
  alignas(64) int32_t sums[kTileRows * kTileColumns];
  Tiles::Store<0>(sums);
  __asm__ volatile("" : : "m"(sums));
  Tiles::Release();
  return rounds * kSums * kTileRows * kTileColumns * kTileDepth * 2;
}

}  // namespace mlad::amx
