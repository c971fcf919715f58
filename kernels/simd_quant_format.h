// What the matmul kernels of the block formats share: where a panel's scales
// are and how an exact integer dot product becomes part of a f32 sum.
#pragma once

#include <cstdint>

#include "kernels/kernel_contract.h"
#include "quant/block_format.h"

namespace mlad {
namespace {

inline constexpr int kGroupColumns = 4;  // a row's adjacent codes in a panel
inline constexpr int kBlockGroups = kQuantBlock / kGroupColumns;
inline constexpr int kSuperBlocks = kSuperBlock / kQuantBlock;

/// See packed_matrix.h and block_format.h for layouts and formulas.
template <PackedFormat kFormat>
struct QuantFormat {
  static constexpr BlockFormat kLayout = kBlockFormat<kFormat>;
  static constexpr int kLowBits = kLayout.low_bits;
  static constexpr int kHighBits = kLayout.high_bits;
  static constexpr bool kHasGrid = kLayout.grid != Grid::kNone;
  static constexpr bool kHasLevels = kLayout.has_levels;
  static constexpr bool kHasMinimum = kLayout.has_minimum;
  static constexpr int kGroup = kLayout.group;
  static constexpr bool kOddS = kLayout.odd_s;
  static constexpr bool kSignedS = kLayout.signed_s;
  static constexpr bool kNibblePair = kLayout.nibble_pair;
  static constexpr bool kExponentD = kLayout.exponent_d;
  static constexpr float kUnit = kLayout.unit;
  /// Bits of s where it is less than a byte.
  static constexpr int kOddSBits = kLayout.top_bit == TopBit::kEach32 ? 3 : 4;

  static constexpr int kSpanBlocks = kLayout.span / kQuantBlock;
  static constexpr int64_t kBlockBytes = BlockCodeBytes(kLayout);
  static constexpr int64_t kLowPlaneBytes =
      kPanelRows * kQuantBlock * kLowBits / 8;
  static constexpr int64_t kFloatScaleBytes = FloatScaleBytes(kLayout);
  static constexpr int64_t kGroupPairBytes = GroupScaleBytes(kLayout, 2);

  /// Columns that share a scale, as dot products of integers are made.
  static constexpr int kScaleColumns = kGroup == 16 ? 16 : kQuantBlock;
  static constexpr int kScalesPerBlock = kQuantBlock / kScaleColumns;
  /// Code that the kernel multiplies minus the number it stands for; a code of
  /// a format with levels is replaced by its level's of LevelCodes.
  static constexpr int kOffset = kHasLevels ? 128 : kLayout.zero_code;

  static int32_t SumOfPart(const ActivationSums& sums, int part) {
    return kScalesPerBlock == 2 ? sums.half[part] : sums.half[0] + sums.half[1];
  }
};

/// A format's levels as u8 codes with offset 128.
struct LevelCodes {
  alignas(16) uint8_t bytes[16];
};
template <PackedFormat kFormat>
constexpr LevelCodes MakeLevelCodes() {
  LevelCodes codes{};
  if constexpr (QuantFormat<kFormat>::kHasLevels) {
    for (int i = 0; i < 16; ++i) {
      codes.bytes[i] =
          static_cast<uint8_t>(kBlockFormat<kFormat>.levels[i] + 128);
    }
  }
  return codes;
}
template <PackedFormat kFormat>
inline constexpr LevelCodes kLevelCodes = MakeLevelCodes<kFormat>();

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

/// How far ahead codes are asked for. With few tokens, a matmul is as fast as
/// memory, and the hardware alone looks ahead too little.
inline constexpr int64_t kAheadBytes = 4096;

template <int64_t kBytes>
[[gnu::always_inline]] inline void Prefetch(const std::byte* from) {
#pragma GCC unroll 8
  for (int64_t line = 0; line < kBytes; line += 64) {
    __builtin_prefetch(from + line);
  }
}

/// Asks for the codes that are some blocks ahead of `block`.
template <PackedFormat kFormat>
[[gnu::always_inline]] inline void PrefetchCodes(const std::byte* panel,
                                                 int64_t block) {
  constexpr int64_t kBlockBytes = QuantFormat<kFormat>::kBlockBytes;
  Prefetch<kBlockBytes>(panel + block * kBlockBytes + kAheadBytes);
}

/// Asks for the scales of a block.
template <PackedFormat kFormat>
[[gnu::always_inline]] inline void PrefetchScales(const std::byte* panel,
                                                  const PanelRegions& regions,
                                                  int64_t block) {
  using F = QuantFormat<kFormat>;
  const int64_t floats_at = F::kGroup == 0 ? regions.scales : regions.supers;
  __builtin_prefetch(panel + floats_at +
                     block / F::kSpanBlocks * F::kFloatScaleBytes);
  if constexpr (F::kGroup != 0) {
    __builtin_prefetch(panel + regions.scales +
                       block * F::kScalesPerBlock * (F::kGroupPairBytes / 2));
  }
}

/// Scales of V::kLanes rows of a panel, for one block.
template <class V, PackedFormat kFormat>
struct BlockScales {
  using F = QuantFormat<kFormat>;
  using Reg = typename V::Reg;
  Reg scale[F::kScalesPerBlock];
  Reg minimum[F::kScalesPerBlock];  // kHasMinimum: subtracted from every weight

  /// Of rows [first_row, first_row + kLanes).
  [[gnu::always_inline]] inline void Load(const std::byte* panel,
                                          const PanelRegions& regions,
                                          int64_t block, int first_row) {
    const int64_t floats_at = F::kGroup == 0 ? regions.scales : regions.supers;
    const std::byte* floats =
        panel + floats_at + block / F::kSpanBlocks * F::kFloatScaleBytes;
    const Reg d = LoadD(floats, first_row);
    Reg n;
    if constexpr (F::kHasMinimum) {
      n = V::LoadF16(floats + (kPanelRows + first_row) * 2);
    }
    if constexpr (F::kGroup == 0) {
      scale[0] = d;
      if constexpr (F::kHasMinimum) minimum[0] = n;
      return;
    }
#pragma GCC unroll 2
    for (int part = 0; part < F::kScalesPerBlock; ++part) {
      const int64_t group = block * F::kScalesPerBlock + part;
      const std::byte* s = panel + regions.scales + first_row +
                           (F::kOddS ? group / 2 * F::kGroupPairBytes
                                     : group * (F::kGroupPairBytes / 2));
      const int shift = static_cast<int>(group % 2) * 4;
      scale[part] = V::Mul(d, LoadS(s, shift));
      if constexpr (F::kHasMinimum) {
        minimum[part] = V::Mul(n, LoadM(s));
      }
    }
  }

  /// `sum` plus the part of the block's columns that share scale[part].
  ///
  /// In   dots  sum of (code - kOffset) * q over these columns, whole numbers
  ///      x_scale, x_sum  the activations' scale and sum of q, in every lane
  [[gnu::always_inline]] inline Reg Accumulate(Reg sum, int part, Reg dots,
                                               Reg x_scale, Reg x_sum) const {
    sum = V::Fma(V::Mul(scale[part], x_scale), dots, sum);
    if constexpr (F::kHasMinimum) {
      sum = V::NegativeFma(V::Mul(minimum[part], x_scale), x_sum, sum);
    }
    return sum;
  }
  /// The same without the activations' scale, for the caller to multiply with.
  [[gnu::always_inline]] inline Reg Accumulate(Reg sum, int part, Reg dots,
                                               Reg x_sum) const {
    sum = V::Fma(scale[part], dots, sum);
    if constexpr (F::kHasMinimum) {
      sum = V::NegativeFma(minimum[part], x_sum, sum);
    }
    return sum;
  }

 private:
  [[gnu::always_inline]] static inline Reg LoadD(const std::byte* floats,
                                                 int first_row) {
    if constexpr (F::kExponentD) return V::LoadExponents(floats + first_row);
    const Reg d = V::LoadF16(floats + first_row * 2);
    if constexpr (F::kUnit == 1) return d;
    return V::Mul(d, V::Set(F::kUnit));
  }
  [[gnu::always_inline]] static inline Reg LoadS(const std::byte* s,
                                                 int shift) {
    if constexpr (F::kOddS) {
      return V::Fma(V::LoadBits(s, shift, F::kOddSBits), V::Set(2.0f),
                    V::Set(1.0f));
    }
    if constexpr (F::kNibblePair) return V::LoadBits(s, 0, 4);
    if constexpr (F::kSignedS) return V::LoadI8(s);
    return V::LoadU8(s);
  }
  [[gnu::always_inline]] static inline Reg LoadM(const std::byte* s) {
    if constexpr (F::kNibblePair) return V::LoadBits(s, 4, 4);
    return V::LoadU8(s + kPanelRows);
  }
};

/// Calls run.operator()<kFormat>() for a block format; does nothing for floats.
template <class Run>
inline void ForBlockFormat(PackedFormat format, const Run& run) {
  switch (format) {
    case PackedFormat::kQ8:
      return run.template operator()<PackedFormat::kQ8>();
    case PackedFormat::kQ4:
      return run.template operator()<PackedFormat::kQ4>();
    case PackedFormat::kNL4:
      return run.template operator()<PackedFormat::kNL4>();
    case PackedFormat::kQ4K:
      return run.template operator()<PackedFormat::kQ4K>();
    case PackedFormat::kQ6K:
      return run.template operator()<PackedFormat::kQ6K>();
    case PackedFormat::kQ4M:
      return run.template operator()<PackedFormat::kQ4M>();
    case PackedFormat::kQ5:
      return run.template operator()<PackedFormat::kQ5>();
    case PackedFormat::kQ5M:
      return run.template operator()<PackedFormat::kQ5M>();
    case PackedFormat::kQ5K:
      return run.template operator()<PackedFormat::kQ5K>();
    case PackedFormat::kQ2K:
      return run.template operator()<PackedFormat::kQ2K>();
    case PackedFormat::kQ3K:
      return run.template operator()<PackedFormat::kQ3K>();
    case PackedFormat::kNL4K:
      return run.template operator()<PackedFormat::kNL4K>();
    case PackedFormat::kMx4:
      return run.template operator()<PackedFormat::kMx4>();
    case PackedFormat::kIq1S:
      return run.template operator()<PackedFormat::kIq1S>();
    case PackedFormat::kIq1M:
      return run.template operator()<PackedFormat::kIq1M>();
    case PackedFormat::kIq2Xxs:
      return run.template operator()<PackedFormat::kIq2Xxs>();
    case PackedFormat::kIq2Xs:
      return run.template operator()<PackedFormat::kIq2Xs>();
    case PackedFormat::kIq2S:
      return run.template operator()<PackedFormat::kIq2S>();
    case PackedFormat::kIq3Xxs:
      return run.template operator()<PackedFormat::kIq3Xxs>();
    case PackedFormat::kIq3S:
      return run.template operator()<PackedFormat::kIq3S>();
    default:
      return;
  }
}

}  // namespace
}  // namespace mlad
