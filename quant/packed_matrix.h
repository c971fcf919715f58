// Weight matrices in the layout the matmul kernels read.
//
// A packed matrix is a sequence of panels of kPanelRows output rows (the last
// one padded with zero rows), so that one vector lane is one row and a dot
// product never needs a sum across lanes. A panel is 64-byte aligned, has the
// same size for all panels of a matrix, and holds everything about its rows:
// any run of panels can live on a NUMA node of its own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/tensor_type.h"

namespace mlad {

inline constexpr int kPanelRows = 16;
inline constexpr int kQuantBlock = 32;  // columns that share a scale

enum class PackedFormat : uint8_t {
  kF32,   // floats, activations stay f32
  kF16,   // halves, activations stay f32
  kBF16,  // bfloat16, activations stay f32
  kQ8,    // u8 codes, f16 scale per block (Q8_0)
  kQ4,    // 4-bit codes, f16 scale per block (Q4_0)
  kNL4,   // 4-bit indices into the non-linear levels, f16 scale (IQ4_NL)
  kQ4K,   // 4-bit codes, 6-bit scale and minimum per block, f16 pair per 256
  kQ6K,   // u8 codes, int8 scale per 16, f16 scale per 256
};

/// Shape and storage of a packed matrix: out[r] = sum_c w[r][c] * x[c].
struct PackedMatrix {
  PackedFormat format = PackedFormat::kF32;
  int64_t rows = 0;  // of this piece; need not be a multiple of kPanelRows
  int64_t cols = 0;
  const std::byte* data = nullptr;  // [panels()] of PanelBytes(format, cols)

  int64_t panels() const { return (rows + kPanelRows - 1) / kPanelRows; }
};

/// The packed format that holds tensors of `type` without loss.
PackedFormat PackedFormatFor(TensorType type);

/// Bytes of one panel; a multiple of 64.
int64_t PanelBytes(PackedFormat format, int64_t cols);

inline int64_t PackedBytes(PackedFormat format, int64_t rows, int64_t cols) {
  return (rows + kPanelRows - 1) / kPanelRows * PanelBytes(format, cols);
}

/// Packs consecutive rows of a tensor.
///
/// In   source [rows] of TensorRowBytes(type, cols) bytes
/// Out  out [PackedBytes(PackedFormatFor(type), rows, cols)], 64-byte aligned
void PackRows(TensorType type, const std::byte* source, int64_t rows,
              int64_t cols, std::byte* out);

/// Packs f32 rows as kF32, kF16 or kBF16 (rounding to nearest even).
void PackFloatRows(PackedFormat format, const float* source, int64_t rows,
                   int64_t cols, std::byte* out);

/// Decodes rows [row_begin, row_end) of a packed matrix with scalar code:
/// out [row_end - row_begin, cols] f32, the exact values of the source tensor.
void UnpackRows(const PackedMatrix& matrix, int64_t row_begin, int64_t row_end,
                float* out);

}  // namespace mlad
