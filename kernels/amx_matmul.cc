// Matmul of the block formats with AMX. What is not for tiles is AVX-512's.
#include "kernels/amx_kernels.h"
#include "kernels/amx_tiles.h"
#include "kernels/kernel_tables.h"
#include "kernels/tile_matmul.h"

namespace mlad::amx {
namespace {

/// Tokens from which on a tile pays, though it is not full: measured with
/// bench/kernel_bench.
constexpr int64_t kWorthTiles = 8;

template <bool kNarrow>
void MatMulTiles(const MatMulArgs& args) {
  ForBlockFormat(args.w.format, [&]<PackedFormat kFormat>() {
    TileMatMul<Tiles, kFormat, kNarrow>::Run(args);
  });
}

}  // namespace

void MatMul(const MatMulArgs& args) noexcept {
  if (ReadsFloatActivations(args.w.format) ||
      args.w.cols % kTileMatMulColumns != 0) {
    return kAvx512Kernels.matmul(args);
  }
  ForRunsOfBits(args, [](const MatMulArgs& run, ActivationBits bits) {
    if (run.tokens < kWorthTiles) {
      kAvx512Kernels.matmul(run);
    } else if (bits == ActivationBits::k8) {
      MatMulTiles<true>(run);
    } else {
      MatMulTiles<false>(run);
    }
  });
}

}  // namespace mlad::amx
