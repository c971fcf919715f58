// The most products the matrix unit of a core can do, see
// KernelTable::peak_int8.
#include "kernels/amx_kernels.h"
#include "kernels/amx_tiles.h"

namespace mlad::amx {
namespace {

// One sum more: a product takes longer than three take to begin.
constexpr int kSpare = kRight + 1;

}  // namespace

int64_t PeakInt8(int64_t rounds) noexcept {
  alignas(64) int8_t ones[kTileRows * kTileDepth];
  for (auto& one : ones) one = 1;
  Tiles::Configure({});
  Tiles::Zero<kSums>();
  Tiles::Zero<kSums + 1>();
  Tiles::Zero<kSums + 2>();
  Tiles::Zero<kSpare>();
  Tiles::Load<kLeft>(ones, kTileDepth);
  Tiles::Load<kRight>(ones, kTileDepth);
  for (int64_t r = 0; r < rounds; ++r) {
    Tiles::AddSignedSigned<kSums, kLeft, kRight>();
    Tiles::AddSignedSigned<kSums + 1, kLeft, kRight>();
    Tiles::AddSignedSigned<kSums + 2, kLeft, kRight>();
    Tiles::AddSignedSigned<kSpare, kLeft, kRight>();
  }
  alignas(64) int32_t sums[kTileRows * kTileColumns];
  Tiles::Store<kSums>(sums);
  __asm__ volatile("" : : "m"(sums));
  Tiles::Release();
  return rounds * 4 * kTileRows * kTileColumns * kTileDepth * 2;
}

}  // namespace mlad::amx
