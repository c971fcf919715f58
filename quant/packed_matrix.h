// Weight matrices in the layout the matmul kernels read.
//
// A packed matrix is a sequence of panels of kPanelRows output rows (the last
// one padded with zero rows), so that one vector lane is one row and a dot
// product never needs a sum across lanes. A panel is 64-byte aligned, has the
// same size for all panels of a matrix, and holds everything about its rows:
// any run of panels can live on a NUMA node of its own.
//
// Within a panel, with row = 0..15 and everything little-endian:
//
// Float formats (kF32, kF16, kBF16), any cols:
//   codes   [cols][16 rows] f32 / f16 / bf16
//
// Block formats, cols a multiple of 32 (those with supers: of 256). A panel is
// up to three regions, each starting at a multiple of 64 bytes (PanelRegions
// has the offsets) and padded with zeros to one:
//
//   codes   [cols / 32 blocks] of a first plane with the low bits and, where
//           the codes have 3 or 5 bits, a second with the top bit:
//     8 bits, 512 bytes: [8 groups][16 rows][4 columns] u8; byte (g, row, j) is
//             column 4 g + j
//     4 bits, 256 bytes: [4 groups][16 rows][4 columns] u8; byte (g, row, j)
//             holds column 4 g + j in its low and column 16 + 4 g + j in its
//             high nibble
//     2 bits, 128 bytes: [2 groups][16 rows][4 columns] u8; byte (g, row, j)
//             holds column 8 k + 4 g + j in bits 2 k and 2 k + 1
//     1 bit, 64 bytes: [16 rows][4 columns] u8; byte (row, j) holds column
//             4 k + j in bit k
//     index, of the formats with a codebook (grid.h): index i stands for
//             columns 8 i .. 8 i + 7 (IQ3: 4 i .. 4 i + 3), n = 4 (8) a block;
//             its low 8 bits [n][16 rows] u8; the next two, if any, [n / 4][16]
//             u8, byte (k, row) with index 4 k + i in bits 2 i and 2 i + 1; the
//             next one, if any, [16] u8 with index i in bit i (IQ3), or [8] u8
//             with the 4 of row r in the low nibble of byte r and those of row
//             8 + r in the high one (IQ1, IQ2); then the top bit of the codes:
//             IQ2, IQ3: as 1 bit above; IQ1_M: one for 8 columns, [8] u8 as
//             just said; IQ1_S: the top bit of s
//   scales  per block or group of columns, below
//   supers  per 256 columns, below
//
//   format  planes  scales                                supers
//   kQ8     8       [cols/32][16] f16 d                   -
//   kQ4     4       [cols/32][16] f16 d                   -
//   kQ5     4 + 1   [cols/32][16] f16 d                   -
//   kNL4    4       [cols/32][16] f16 d                   -
//   kQ4M    4       [cols/32] {[16] f16 d, [16] f16 n}    -
//   kQ5M    4 + 1   [cols/32] {[16] f16 d, [16] f16 n}    -
//   kQ2K    2       [cols/16][16] u8 s | m << 4           {[16] f16 d, n}
//   kQ3K    2 + 1   [cols/16][16] i8 s                    [16] f16 d
//   kQ4K    4       [cols/32] {[16] u8 s, [16] u8 m}      {[16] f16 d, n}
//   kQ5K    4 + 1   [cols/32] {[16] u8 s, [16] u8 m}      {[16] f16 d, n}
//   kQ6K    8       [cols/16][16] i8 s                    [16] f16 d
//   kNL4K   4       [cols/32][16] i8 s                    [16] f16 d
//   kMx4    4       [cols/32][16] u8 e                    -
//   kIq1S   8 2 1   [cols/64][16] s of two groups         [16] f16 d
//   kIq1M   8 2 1 * [cols/32][16] s of two groups         [16] f16 d
//   kIq2Xxs 8     1 [cols/64][16] s of two groups         [16] f16 d
//   kIq2Xs  8 1   1 [cols/32][16] s of two groups         [16] f16 d
//   kIq2S   8 2   1 [cols/32][16] s of two groups         [16] f16 d
//   kIq3Xxs 8     1 [cols/64][16] s of two groups         [16] f16 d
//   kIq3S   8 1   1 [cols/64][16] s of two groups         [16] f16 d
//   ({[16] f16 d, n} is [16] f16 d followed by [16] f16 n; s of two groups is
//   u8 with the first one's s in the low nibble.)
//
//   format          weight of a code                      zero row
//   kQ8             d * (code - 128)                      code 128, d = 0
//   kQ4             d * (code - 8)                        code 8, d = 0
//   kQ5             d * (code - 16)                       code 16, d = 0
//   kNL4            d * kNonLinearLevels[code]            code 0, d = 0
//   kQ4M, kQ5M      d * code - n                          all 0
//   kQ2K, 4K, 5K    d * s * code - n * m                  all 0
//   kQ3K            d * s * (code - 4)                    code 4, s = d = 0
//   kQ6K            d * s * (code - 32)                   code 32, s = d = 0
//   kNL4K           d * s * kNonLinearLevels[code]        all 0
//   kMx4            2^(e - 128) * level[code]             code 0, e = 0
//   kIq..           d * (2 s + 1) * unit * level[code]    all 0
//                   (level and unit as in BlockFormat; IQ1_S has s < 8)
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/type_ids.h"

namespace mlad {

inline constexpr int kPanelRows = 16;
inline constexpr int kQuantBlock = 32;   // columns that share a scale
inline constexpr int kSuperBlock = 256;  // columns that share a super scale

/// The 16 levels of IQ4_NL.
inline constexpr int8_t kNonLinearLevels[16] = {
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

enum class PackedFormat : uint8_t {
  kF32,   // floats, activations stay f32
  kF16,   // halves, activations stay f32
  kBF16,  // bfloat16, activations stay f32
  kQ8,    // u8 codes, f16 scale per block (Q8_0)
  kQ4,    // 4-bit codes, f16 scale per block (Q4_0)
  kNL4,   // 4-bit indices into the non-linear levels, f16 scale (IQ4_NL)
  kQ4K,   // 4-bit codes, 6-bit scale and minimum per block, f16 pair per 256
  kQ6K,   // u8 codes, int8 scale per 16, f16 scale per 256
  kQ4M,   // 4-bit codes, f16 scale and minimum per block (Q4_1)
  kQ5,    // 5-bit codes, f16 scale per block (Q5_0)
  kQ5M,   // 5-bit codes, f16 scale and minimum per block (Q5_1)
  kQ5K,   // as kQ4K with 5-bit codes
  kQ2K,   // 2-bit codes, 4-bit scale and minimum per 16, f16 pair per 256
  kQ3K,   // 3-bit codes, int8 scale per 16, f16 scale per 256
  kNL4K,  // as kNL4 with an int8 scale per block, f16 scale per 256 (IQ4_XS)
  kMx4,   // 4-bit floats, power of two per block (MXFP4)
  kIq1S,  // indices into a codebook of 8 columns, as the rest
  kIq1M,
  kIq2Xxs,
  kIq2Xs,
  kIq2S,
  kIq3Xxs,  // and of 4 columns
  kIq3S,
};

/// Shape and storage of a packed matrix: out[r] = sum_c w[r][c] * x[c].
struct PackedMatrix {
  PackedFormat format = PackedFormat::kF32;
  int64_t rows = 0;  // of this piece; need not be a multiple of kPanelRows
  int64_t cols = 0;
  const std::byte* data = nullptr;  // [panels()] of PanelBytes(format, cols)

  int64_t panels() const { return (rows + kPanelRows - 1) / kPanelRows; }
};

/// Byte offsets of a panel's regions (codes start at 0) and its size. A region
/// that the format lacks starts where the next one would.
struct PanelRegions {
  int64_t scales = 0;
  int64_t supers = 0;
  int64_t bytes = 0;
};
PanelRegions GetPanelRegions(PackedFormat format, int64_t cols);

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
