// Attention on codes with AMX.
#include "kernels/amx_kernels.h"
#include "kernels/amx_tiles.h"
#include "kernels/avx512_coded_attention.h"
#include "kernels/tile_code_products.h"

namespace mlad::amx {

void Project(const ProjectArgs& args) noexcept {
  avx512::ProjectWith<TileCodeProducts<Tiles>>(args);
}

void Attend(const CodedTileArgs& args) noexcept {
  avx512::AttendWith<TileCodeProducts<Tiles>>(args);
}

}  // namespace mlad::amx
