// Matmul of the block formats with activations of 8 bits for many tokens, on
// tiles of 16 tokens by 16 rows, whose products a matrix unit sums. What it
// gives has the bits of QuantMatMul's narrow form (avx512_quant_matmul.h).
//
// Tiles is amx::Tiles, or what stands in for it in tests. Columns are multiples
// of 64.
// Only for files compiled for AVX-512 F, BW, DQ and VL.
#pragma once

#include <immintrin.h>

#include "kernels/avx512_codes.h"
#include "kernels/simd_matmul.h"
#include "kernels/simd_quant_format.h"
#include "kernels/tile_shapes.h"
#include "kernels/vector_avx512.h"

namespace mlad::amx {
namespace {

inline constexpr int kTileTokens = kTileRows;
inline constexpr int kTilePanels = 8;  // that share what is gathered
inline constexpr int kTileBatch = 64;  // tokens

template <class Tiles, PackedFormat kFormat>
class TileMatMul {
 public:
  static void Run(const MatMulArgs& args) {
    Tiles::Configure({kDepth, 0});
    TileMatMul matmul(args);
    for (int64_t first = 0; first < args.tokens; first += kTileBatch) {
      for (int64_t p = args.panel_begin; p < args.panel_end; p += kTilePanels) {
        matmul.RunBatch(first, p);
      }
    }
    Tiles::Release();
  }

 private:
  using V = Avx512;
  using F = QuantFormat<kFormat>;
  // Columns that share a scale, which a tile multiplies at once.
  static constexpr int kDepth = F::kScaleColumns;
  static constexpr int kBlockParts = F::kScalesPerBlock;
  static constexpr int kSpanParts = kSuperBlocks * kBlockParts;
  static constexpr int kGroups = kTileBatch / kTileTokens;

  /// 256 columns of some tokens, as tiles read them.
  struct Gathered {
    alignas(64) int8_t codes[kGroups][kSpanParts][kTileTokens][kDepth];
    float sums[kGroups][kSpanParts][kTileTokens];  // of formats with minima
    float scales[kGroups][kTileTokens];
  };
  struct Span {
    int64_t begin, end;  // blocks
    int parts() const { return static_cast<int>(end - begin) * kBlockParts; }
  };

  explicit TileMatMul(const MatMulArgs& args)
      : args_(args), regions_(GetPanelRegions(args.w.format, args.w.cols)) {}

  /// kTileBatch tokens with kTilePanels panels, or as many as there are.
  void RunBatch(int64_t first_token, int64_t first_panel) {
    const int64_t tokens = Least(args_.tokens - first_token, kTileBatch);
    const int64_t panels = Least(args_.panel_end - first_panel, kTilePanels);
    for (int64_t p = 0; p < panels; ++p) {
      for (int64_t t = 0; t < tokens; ++t) dots_[p][t][0] = V::Zero();
    }
    const int64_t blocks = args_.w.cols / kQuantBlock;
    for (int64_t begin = 0; begin < blocks; begin += kSuperBlocks) {
      const Span span = {begin, Least(blocks, begin + kSuperBlocks)};
      Gather(span, first_token, tokens);
      for (int64_t p = 0; p < panels; ++p) {
        const std::byte* panel =
            args_.w.data + (first_panel + p) * regions_.bytes;
        avx512::UnpackCodes<kFormat, F::kOffset>(
            regions_, {panel, span.begin, span.end, codes_});
        LoadScales(span, panel);
        AddSpan(span, (tokens + kTileTokens - 1) / kTileTokens, dots_[p]);
      }
    }
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t p = 0; p < panels; ++p) {
        StorePanel<V>(args_, first_panel + p, first_token + t, dots_[p][t]);
      }
    }
  }

  static int64_t Least(int64_t a, int64_t b) { return a < b ? a : b; }

  void Gather(Span span, int64_t first_token, int64_t tokens) {
    for (int64_t t = 0; t < tokens; ++t) {
      const int64_t token = first_token + t;
      const TokenRow x =
          TokenRow::Of(args_, args_.x_rows ? args_.x_rows[token] : token);
      const int64_t group = t / kTileTokens;
      const int64_t row = t % kTileTokens;
      for (int64_t b = span.begin; b < span.end; ++b) {
        for (int i = 0; i < kBlockParts; ++i) {
          const int64_t part = (b - span.begin) * kBlockParts + i;
          __builtin_memcpy(gathered_.codes[group][part][row],
                           x.blocks[b].high + i * kDepth, kDepth);
          if constexpr (F::kHasMinimum) {
            // Of multiples of 256, as in the narrow form.
            gathered_.sums[group][part][row] =
                static_cast<float>(F::SumOfPart(x.sums[b], i) >> 8);
          }
        }
      }
      gathered_.scales[group][row] = 256 * x.scales[span.begin];
    }
    // The rows of the last group that are no tokens' are multiplied too; what
    // comes of them is not used.
  }

  void LoadScales(Span span, const std::byte* panel) {
    for (int64_t b = span.begin; b < span.end; ++b) {
      scales_[b - span.begin].Load(panel, regions_, b, 0);
    }
  }

  /// dots[t] += the span's products, of all groups of tokens.
  void AddSpan(Span span, int64_t groups, __m512 (*dots)[1]) {
    // What is multiplied can be stored tens of cycles later, and what is stored
    // be loaded as many after that, so parts are multiplied two ahead and
    // stored one ahead of being summed.
    alignas(64) int32_t even[kTileTokens * kPanelRows];
    alignas(64) int32_t odd[kTileTokens * kPanelRows];
    Multiply<kSums>(0, 0);
    Multiply<kSums + 1>(0, 1);
    Tiles::template Store<kSums>(even);
    for (int64_t group = 0; group < groups; ++group) {
      __m512 sums[kTileTokens];
#pragma GCC unroll 16
      for (auto& sum : sums) sum = V::Zero();
      for (int part = 0; part < span.parts(); part += 2) {
        const bool is_last = part + 2 == span.parts();
        const int64_t next_group = is_last ? group + 1 : group;
        const int next = is_last ? 0 : part + 2;
        const bool has_next = next_group < groups;
        if (has_next) Multiply<kSums>(next_group, next);
        AddPart(group, part, even, sums);
        Tiles::template Store<kSums + 1>(odd);
        if (has_next) Multiply<kSums + 1>(next_group, next + 1);
        AddPart(group, part + 1, odd, sums);
        if (has_next) Tiles::template Store<kSums>(even);
      }
#pragma GCC unroll 16
      for (int t = 0; t < kTileTokens; ++t) {
        __m512& dot = dots[group * kTileTokens + t][0];
        dot = V::Fma(V::Set(gathered_.scales[group][t]), sums[t], dot);
      }
    }
  }

  template <int kTile>
  [[gnu::always_inline]] inline void Multiply(int64_t group, int part) {
    Tiles::template Zero<kTile>();
    Tiles::template Load<kLeft>(gathered_.codes[group][part], kDepth);
    Tiles::template Load<kRight>(codes_ + part * kDepth * kPanelRows, 64);
    Tiles::template AddSignedSigned<kTile, kLeft, kRight>();
  }

  [[gnu::always_inline]] inline void AddPart(int64_t group, int part,
                                             const int32_t* products,
                                             __m512 (&sums)[kTileTokens]) {
    const BlockScales<V, kFormat>& scales = scales_[part / kBlockParts];
#pragma GCC unroll 16
    for (int t = 0; t < kTileTokens; ++t) {
      const __m512 x_sum =
          F::kHasMinimum ? V::Set(gathered_.sums[group][part][t]) : V::Zero();
      sums[t] = scales.Accumulate(
          sums[t], part % kBlockParts,
          _mm512_cvtepi32_ps(_mm512_load_si512(products + t * kPanelRows)),
          x_sum);
    }
  }

  const MatMulArgs& args_;
  const PanelRegions regions_;
  Gathered gathered_ = {};
  alignas(64) std::byte codes_[kSuperBlocks * kPanelRows * kQuantBlock];
  BlockScales<V, kFormat> scales_[kSuperBlocks];
  __m512 dots_[kTilePanels][kTileBatch][1];
};

}  // namespace
}  // namespace mlad::amx
