#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "base/float16.h"
#include "kernels/scalar_kernels.h"
#include "quant/block_format.h"

namespace mlad {

bool ReadsFloatActivations(PackedFormat format) {
  return !IsBlockFormat(format);
}

namespace scalar {
namespace {

// Tokens that share one decoding of a panel's weights.
constexpr int kTokenTile = 8;

// Dot products of the rows of a panel with the tokens of a tile.
struct Accumulators {
  int tokens = 0;
  int64_t x_rows[kTokenTile];
  float dot[kTokenTile][kPanelRows];
};

// The 32 activations of a block as 16-bit integers.
struct ActivationValues {
  int16_t q[kQuantBlock];
};

ActivationValues JoinPlanes(const ActivationBlock& block) {
  ActivationValues values;
  for (int c = 0; c < kQuantBlock; ++c) {
    values.q[c] = static_cast<int16_t>(256 * block.high[c] + block.low[c]);
  }
  return values;
}

// At most 16 * 255 * 32639 in magnitude: two of these fit in int32.
int32_t HalfDot(const int16_t* w, const int16_t* q) {
  int32_t sum = 0;
  for (int c = 0; c < kQuantBlock / 2; ++c) sum += w[c] * q[c];
  return sum;
}

// dot += scale * integer dot - minimum * sum of q, over the columns of a block
// that share a scale: all 32, or 16 and 16.
void AccumulateBlock(const BlockFormat& format, const PanelBlock& block,
                     const ActivationBlock& x, float x_scale,
                     const ActivationSums& sums, float* dot) {
  const ActivationValues values = JoinPlanes(x);
  const bool by_halves = format.group == 16;
  for (int row = 0; row < kPanelRows; ++row) {
    int32_t integers[2];
    int32_t q_sums[2] = {sums.half[0], sums.half[1]};
    for (int half = 0; half < 2; ++half) {
      integers[half] =
          HalfDot(block.value[row] + 16 * half, values.q + 16 * half);
    }
    if (!by_halves) {
      integers[0] += integers[1];
      q_sums[0] += q_sums[1];
    }
    for (int part = 0; part < (by_halves ? 2 : 1); ++part) {
      dot[row] = std::fma(static_cast<float>(integers[part]),
                          block.scale[part][row] * x_scale, dot[row]);
      if (format.has_minimum) {
        dot[row] = std::fma(static_cast<float>(q_sums[part]),
                            -(block.minimum[part][row] * x_scale), dot[row]);
      }
    }
  }
}

void AccumulateBlocks(const MatMulArgs& args, const PanelRegions& regions,
                      const std::byte* panel, Accumulators* sums) {
  const BlockFormat& format = GetBlockFormat(args.w.format);
  const int64_t blocks = args.w.cols / kQuantBlock;
  PanelBlock block;
  for (int64_t b = 0; b < blocks; ++b) {
    DecodePanelBlock(format, regions, panel, b, &block);
    for (int t = 0; t < sums->tokens; ++t) {
      const int64_t at = sums->x_rows[t] * blocks + b;
      AccumulateBlock(format, block, args.x_q.blocks[at], args.x_q.scales[at],
                      args.x_q.sums[at], sums->dot[t]);
    }
  }
}

void LoadColumn(PackedFormat format, const std::byte* panel, int64_t column,
                float* out) {
  if (format == PackedFormat::kF32) {
    std::memcpy(out, panel + column * kPanelRows * 4, kPanelRows * 4);
    return;
  }
  uint16_t bits[kPanelRows];
  std::memcpy(bits, panel + column * kPanelRows * 2, sizeof(bits));
  for (int row = 0; row < kPanelRows; ++row) {
    out[row] = format == PackedFormat::kF16 ? F16ToF32(bits[row])
                                            : BF16ToF32(bits[row]);
  }
}

void AccumulateFloats(const MatMulArgs& args, const std::byte* panel,
                      Accumulators* sums) {
  float w[kPanelRows];
  for (int64_t c = 0; c < args.w.cols; ++c) {
    LoadColumn(args.w.format, panel, c, w);
    for (int t = 0; t < sums->tokens; ++t) {
      const float x = args.x_f32[sums->x_rows[t] * args.w.cols + c];
      for (int row = 0; row < kPanelRows; ++row) {
        sums->dot[t][row] += w[row] * x;
      }
    }
  }
}

void StoreToken(const MatMulArgs& args, int64_t row, int64_t token,
                const float* dot) {
  const int64_t out_row =
      args.out_rows != nullptr ? args.out_rows[token] : token;
  float* out = args.out + out_row * args.out_stride + row;
  const int64_t count = std::min<int64_t>(kPanelRows, args.w.rows - row);
  for (int64_t r = 0; r < count; ++r) {
    switch (args.epilogue) {
      case Epilogue::kStore:
        out[r] = dot[r];
        break;
      case Epilogue::kAdd:
        out[r] += dot[r];
        break;
      case Epilogue::kScaledAdd:
        out[r] = std::fma(args.scale[token], dot[r], out[r]);
        break;
    }
  }
}

}  // namespace

void MatMul(const MatMulArgs& args) noexcept {
  const PanelRegions regions = GetPanelRegions(args.w.format, args.w.cols);
  MLAD_DCHECK(args.panel_begin >= 0 && args.panel_end <= args.w.panels());
  for (int64_t p = args.panel_begin; p < args.panel_end; ++p) {
    const std::byte* panel = args.w.data + p * regions.bytes;
    for (int64_t token = 0; token < args.tokens; token += kTokenTile) {
      Accumulators sums = {};
      sums.tokens =
          static_cast<int>(std::min<int64_t>(kTokenTile, args.tokens - token));
      for (int t = 0; t < sums.tokens; ++t) {
        sums.x_rows[t] =
            args.x_rows != nullptr ? args.x_rows[token + t] : token + t;
      }
      if (ReadsFloatActivations(args.w.format)) {
        AccumulateFloats(args, panel, &sums);
      } else {
        AccumulateBlocks(args, regions, panel, &sums);
      }
      for (int t = 0; t < sums.tokens; ++t) {
        StoreToken(args, p * kPanelRows, token + t, sums.dot[t]);
      }
    }
  }
}

}  // namespace scalar
}  // namespace mlad
