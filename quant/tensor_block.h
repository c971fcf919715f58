// One block of a quantised GGUF tensor, taken apart into what a packed matrix
// stores: the one place that knows the file's bit layouts.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/packed_matrix.h"
#include "quant/tensor_type.h"

namespace mlad {

/// The weights of a block of n <= 256 columns are
///   d * s[c / group] * value(codes[c]) - n * m[c / group]
/// with the meaning of codes, d and s, and the group, of the packed format of
/// its type (BlockFormat). Formats without s or m leave them alone.
struct TensorBlock {
  uint8_t codes[kSuperBlock];
  uint16_t indices[kSuperBlock / 4];  // of formats with a codebook
  uint8_t s[kSuperBlock / 16];  // int8 bits where the format's s is signed
  uint8_t m[kSuperBlock / 16];
  uint16_t d = 0;  // f16 bits, or an exponent (FloatScale)
  uint16_t n = 0;  // f16 bits
};

/// Takes apart one block of GetTensorType(type).block_bytes bytes, unaligned;
/// `type` is one of the quantised types.
void SplitTensorBlock(TensorType type, const std::byte* source,
                      TensorBlock* out);

/// Bits of the d nearest to `scale` in blocks of `type`, which is quantised: of
/// the format's scales, so without BlockFormat's unit.
uint16_t BlockScaleBits(TensorType type, float scale);

/// Replaces the d, and the n where the type has one, of a block as a file
/// stores it; for tests and generated weights.
void PutBlockScales(TensorType type, uint16_t d, uint16_t n, std::byte* block);

}  // namespace mlad
