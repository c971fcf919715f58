// What the matmul kernels of the block formats share: where a panel's scales
// are and how an exact integer dot product becomes part of a f32 sum.
#pragma once

#include <cstdint>

#include "kernels/kernel_contract.h"

namespace mlad {
namespace {

inline constexpr int kGroupColumns = 4;  // a row's adjacent codes in a panel
inline constexpr int kBlockGroups = kQuantBlock / kGroupColumns;

/// kNonLinearLevels as u8 codes with offset 128.
struct LevelCodes {
  alignas(16) uint8_t bytes[16];
};
constexpr LevelCodes MakeLevelCodes() {
  LevelCodes codes{};
  for (int i = 0; i < 16; ++i) {
    codes.bytes[i] = static_cast<uint8_t>(kNonLinearLevels[i] + 128);
  }
  return codes;
}
inline constexpr LevelCodes kLevelCodes = MakeLevelCodes();

/// See packed_matrix.h for the formulas.
template <PackedFormat kFormat>
struct QuantFormat {
  static constexpr bool kIsQ4K = kFormat == PackedFormat::kQ4K;
  static constexpr bool kIsQ6K = kFormat == PackedFormat::kQ6K;
  static constexpr bool kHasSupers = kIsQ4K || kIsQ6K;
  static constexpr bool kHasMinimum = kIsQ4K;

  static constexpr bool kWholeBytes =
      kFormat == PackedFormat::kQ8 || kFormat == PackedFormat::kQ6K;
  static constexpr int kBlockBytes =
      kPanelRows * kQuantBlock / (kWholeBytes ? 1 : 2);

  /// Columns that share a scale, as dot products of integers are made.
  static constexpr int kScaleColumns = kIsQ6K ? 16 : kQuantBlock;
  static constexpr int kScalesPerBlock = kQuantBlock / kScaleColumns;
  /// Stored code minus the number it stands for; kNL4's codes are replaced by
  /// those of kLevelCodes.
  static constexpr int kOffset = kFormat == PackedFormat::kQ8    ? 128
                                 : kFormat == PackedFormat::kQ4  ? 8
                                 : kFormat == PackedFormat::kNL4 ? 128
                                 : kFormat == PackedFormat::kQ6K ? 32
                                                                 : 0;

  static int32_t SumOfPart(const ActivationSums& sums, int part) {
    return kScalesPerBlock == 2 ? sums.half[part] : sums.half[0] + sums.half[1];
  }
};

/// The activations of one token.
struct TokenRow {
  const ActivationBlock* blocks;
  const float* scales;
  const ActivationSums* sums;

  static TokenRow Of(const MatMulArgs& args, int64_t row) {
    const int64_t first = row * (args.w.cols / kQuantBlock);
    return {args.x_q.blocks + first, args.x_q.scales + first,
            args.x_q.sums + first};
  }
};

/// Asks for the codes that are some blocks ahead of `block`. With one token, a
/// matmul is as fast as memory, and the hardware alone looks ahead too little.
template <PackedFormat kFormat>
[[gnu::always_inline]] inline void PrefetchCodes(const std::byte* panel,
                                                 int64_t block) {
  constexpr int64_t kAheadBytes = 4096;
  constexpr int kBlockBytes = QuantFormat<kFormat>::kBlockBytes;
  const std::byte* ahead = panel + block * kBlockBytes + kAheadBytes;
#pragma GCC unroll 8
  for (int line = 0; line < kBlockBytes; line += 64) {
    __builtin_prefetch(ahead + line);
  }
}

/// Scales of V::kLanes rows of a panel, for one block.
template <class V, PackedFormat kFormat>
struct BlockScales {
  using F = QuantFormat<kFormat>;
  typename V::Reg scale[F::kScalesPerBlock];
  typename V::Reg minimum;  // kHasMinimum: subtracted from every weight

  /// Of rows [first_row, first_row + kLanes).
  [[gnu::always_inline]] inline void Load(const std::byte* panel,
                                          const PanelRegions& regions,
                                          int64_t block, int first_row) {
    const std::byte* scales = panel + regions.scales;
    if constexpr (!F::kHasSupers) {
      scale[0] = V::LoadF16(scales + (block * kPanelRows + first_row) * 2);
      return;
    }
    constexpr int kSuperRows = kPanelRows * (F::kHasMinimum ? 2 : 1);
    const std::byte* supers =
        panel + regions.supers +
        block / (kSuperBlock / kQuantBlock) * kSuperRows * 2 + first_row * 2;
    const auto super_scale = V::LoadF16(supers);
    scales += block * 2 * kPanelRows + first_row;
    if constexpr (F::kIsQ4K) {
      scale[0] = V::Mul(super_scale, V::LoadU8(scales));
      minimum = V::Mul(V::LoadF16(supers + 2 * kPanelRows),
                       V::LoadU8(scales + kPanelRows));
    } else if constexpr (F::kIsQ6K) {
      scale[0] = V::Mul(super_scale, V::LoadI8(scales));
      scale[1] = V::Mul(super_scale, V::LoadI8(scales + kPanelRows));
    }
  }

  /// `sum` plus the part of the block's columns that share scale[part].
  ///
  /// In   dots  sum of (code - kOffset) * q over these columns, whole numbers
  ///      x_scale, x_sum  the activations' scale and sum of q, in every lane
  [[gnu::always_inline]] inline typename V::Reg Accumulate(
      typename V::Reg sum, int part, typename V::Reg dots,
      typename V::Reg x_scale, typename V::Reg x_sum) const {
    sum = V::Fma(V::Mul(scale[part], x_scale), dots, sum);
    if constexpr (F::kHasMinimum) {
      sum = V::NegativeFma(V::Mul(minimum, x_scale), x_sum, sum);
    }
    return sum;
  }
};

}  // namespace
}  // namespace mlad
