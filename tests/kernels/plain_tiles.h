// The kernels of the AMX table on tiles that plain code multiplies.
#pragma once

#include "kernels/kernel_contract.h"

namespace mlad::plain_tiles {

/// Of block formats, whatever the number of tokens; columns are multiples of
/// amx::kTileMatMulColumns.
void MatMulQuantized(const MatMulArgs& args) noexcept;
void Project(const ProjectArgs& args) noexcept;
void Attend(const CodedTileArgs& args) noexcept;

}  // namespace mlad::plain_tiles
