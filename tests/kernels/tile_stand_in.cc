#include "tests/kernels/tile_stand_in.h"

#include "tests/kernels/plain_tiles.h"

#include "kernels/kernels.h"

namespace mlad::testing {

std::optional<KernelTable> TileStandInKernels() {
  const auto avx512 = FindKernels(Isa::kAvx512);
  if (!avx512.ok()) return std::nullopt;
  static CodedAttention coded_attention = *(*avx512)->coded_attention;
  coded_attention.project = plain_tiles::Project;
  coded_attention.attend = plain_tiles::Attend;
  KernelTable table = **avx512;
  table.matmul = plain_tiles::MatMulQuantized;
  table.coded_attention = &coded_attention;
  return table;
}

}  // namespace mlad::testing
