// The part of SplitTensorBlock for the formats with a codebook.
#pragma once

#include <cstdint>

#include "quant/tensor_block.h"

namespace mlad {

/// `type` is one of IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S.
void SplitGridBlock(TensorType type, const uint8_t* source, TensorBlock* out);

}  // namespace mlad
