// Matmul with AMX: of activations of 8 bits. The rest is AVX-512's.
#include "kernels/amx_kernels.h"
#include "kernels/amx_tiles.h"
#include "kernels/kernel_tables.h"
#include "kernels/tile_matmul.h"

namespace mlad::amx {
namespace {

/// Tokens from which on a tile pays, though it is not full.
constexpr int64_t kWorthTiles = 6;

bool SuitsTiles(const MatMulArgs& args, ActivationBits bits) {
  return bits == ActivationBits::k8 && args.tokens >= kWorthTiles &&
         args.w.cols % kTileDepth == 0;
}

void MatMulTiles(const MatMulArgs& args) {
  ForBlockFormat(args.w.format, [&]<PackedFormat kFormat>() {
    TileMatMul<Tiles, kFormat>::Run(args);
  });
}

}  // namespace

void MatMul(const MatMulArgs& args) noexcept {
  if (ReadsFloatActivations(args.w.format)) return kAvx512Kernels.matmul(args);
  ForRunsOfBits(args, [](const MatMulArgs& run, ActivationBits bits) {
    if (SuitsTiles(run, bits)) {
      MatMulTiles(run);
    } else {
      kAvx512Kernels.matmul(run);
    }
  });
}

}  // namespace mlad::amx
