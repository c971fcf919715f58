// Matmul of the block formats for several tokens, on tiles of 16 tokens by 16
// rows whose products a matrix unit sums. What it gives has the bits of
// QuantMatMul (avx512_quant_matmul.h).
//
// Tiles is amx::Tiles, or what stands in for it in tests. Columns are multiples
// of kTileMatMulColumns.
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

inline constexpr int64_t kTileMatMulColumns = int64_t{2} * kQuantBlock;

/// kNarrow: of activations of 8 bits, which are one plane; else of two.
template <class Tiles, PackedFormat kFormat, bool kNarrow>
class TileMatMul {
 public:
  static void Run(const MatMulArgs& args) {
    TileMatMul matmul(args);
    matmul.Configure();
    const int64_t batch = kGroups * matmul.rows_;
    for (int64_t first = 0; first < args.tokens; first += batch) {
      for (int64_t p = args.panel_begin; p < args.panel_end; p += kPanels) {
        matmul.RunBatch(first, Least(args.tokens - first, batch), p);
      }
    }
    Tiles::Release();
  }

 private:
  using V = Avx512;
  using F = QuantFormat<kFormat>;
  static constexpr int kPlanes = kNarrow ? 1 : 2;
  static constexpr int kPanels = 8;            // that share what is gathered
  static constexpr int kGroups = 4 / kPlanes;  // of a tile's tokens
  // Columns that share a scale, which a tile multiplies at once.
  static constexpr int kDepth = F::kScaleColumns;
  static constexpr int kBlockParts = F::kScalesPerBlock;
  static constexpr int kSpanParts = kSuperBlocks * kBlockParts;
  // Tiles by number.
  static constexpr int kEven = 0;  // sums: a tile for each plane
  static constexpr int kOdd = kPlanes;
  static constexpr int kLeft = 4;
  static constexpr int kRight = 5;

  /// 256 columns of some tokens, as tiles read them.
  struct Gathered {
    alignas(64) int8_t codes[kGroups][kSpanParts][kPlanes][kTileRows][kDepth];
    float sums[kGroups][kSpanParts][kTileRows];      // of formats with minima
    float scales[kGroups][kSuperBlocks][kTileRows];  // kNarrow: the first only
  };
  struct Span {
    int64_t begin, end;  // blocks
    int parts() const { return static_cast<int>(end - begin) * kBlockParts; }
  };
  /// 256 columns of a panel.
  struct Piece {
    const std::byte* panel;
    int64_t begin;
  };
  using Products = int32_t[kPlanes][kTileRows * kPanelRows];

  explicit TileMatMul(const MatMulArgs& args)
      : args_(args), regions_(GetPanelRegions(args.w.format, args.w.cols)) {
    // Tiles of equal heights: a row less is a cycle less.
    const int64_t tiles = (args.tokens + kTileRows - 1) / kTileRows;
    rows_ = (args.tokens + tiles - 1) / tiles;
  }

  void Configure() const {
    const int rows = static_cast<int>(rows_);
    TileShapes shapes;
    for (int tile = 0; tile < 2 * kPlanes; ++tile) shapes.SetSums(tile, rows);
    shapes.SetLeft(kLeft, kDepth, rows);
    shapes.SetRight(kRight, kDepth);
    Tiles::Configure(shapes);
  }

  const std::byte* Panel(int64_t panel) const {
    return args_.w.data + panel * regions_.bytes;
  }
  static int64_t Least(int64_t a, int64_t b) { return a < b ? a : b; }

  /// Up to kGroups tiles of tokens with kPanels panels, or as many as there
  /// are.
  void RunBatch(int64_t first_token, int64_t tokens, int64_t first_panel) {
    const int64_t panels = Least(args_.panel_end - first_panel, kPanels);
    const int64_t groups = (tokens + rows_ - 1) / rows_;
    for (int64_t p = 0; p < panels; ++p) {
      for (int64_t t = 0; t < groups * kTileRows; ++t)
        dots_[p][t][0] = V::Zero();
    }
    const int64_t blocks = args_.w.cols / kQuantBlock;
    for (int64_t begin = 0; begin < blocks; begin += kSuperBlocks) {
      const Span span = {begin, Least(blocks, begin + kSuperBlocks)};
      for (int64_t t = 0; t < tokens; ++t) {
        Gather(span, first_token + t, t / rows_, t % rows_);
      }
      for (int64_t p = 0; p < panels; ++p) {
        const std::byte* panel = Panel(first_panel + p);
        // What comes next is fetched meanwhile.
        Piece next = {panel + regions_.bytes, span.begin};
        if (p + 1 == panels) {
          next = {Panel(first_panel), span.end};
          if (span.end == blocks) next = {panel + regions_.bytes, 0};
        }
        avx512::UnpackCodes<kFormat, F::kOffset>(
            regions_, {panel, span.begin, span.end, codes_,
                       next.panel + next.begin * F::kBlockBytes});
        LoadScales(span, panel, next);
        if (rows_ <= kTileRows / 2) {
          AddSpan<kTileRows / 2>(span, groups, dots_[p]);
        } else {
          AddSpan<kTileRows>(span, groups, dots_[p]);
        }
      }
    }
    for (int64_t t = 0; t < tokens; ++t) {
      const int64_t at = t / rows_ * kTileRows + t % rows_;
      for (int64_t p = 0; p < panels; ++p) {
        StorePanel<V>(args_, first_panel + p, first_token + t, dots_[p][at]);
      }
    }
  }

  void Gather(Span span, int64_t token, int64_t group, int64_t row) {
    const TokenRow x =
        TokenRow::Of(args_, args_.x_rows ? args_.x_rows[token] : token);
    for (int64_t b = span.begin; b < span.end; ++b) {
      for (int i = 0; i < kBlockParts; ++i) {
        const int64_t part = (b - span.begin) * kBlockParts + i;
        auto& planes = gathered_.codes[group][part];
        __builtin_memcpy(planes[0][row], x.blocks[b].high + i * kDepth, kDepth);
        if constexpr (!kNarrow) {
          __builtin_memcpy(planes[1][row], x.blocks[b].low + i * kDepth,
                           kDepth);
        }
        if constexpr (F::kHasMinimum) {
          const int32_t sum = F::SumOfPart(x.sums[b], i);
          // Of multiples of 256, if narrow.
          gathered_.sums[group][part][row] =
              static_cast<float>(kNarrow ? sum >> 8 : sum);
        }
      }
      if constexpr (!kNarrow) {
        gathered_.scales[group][b - span.begin][row] = x.scales[b];
      }
    }
    if constexpr (kNarrow) {
      gathered_.scales[group][0][row] = 256 * x.scales[span.begin];
    }
    // Rows that are no token's are multiplied too; what comes of them is not
    // used.
  }

  void LoadScales(Span span, const std::byte* panel, const Piece& next) {
    for (int64_t b = span.begin; b < span.end; ++b) {
      scales_[b - span.begin].Load(panel, regions_, b, 0);
      PrefetchScales<kFormat>(next.panel, regions_,
                              next.begin + b - span.begin);
    }
  }

  /// dots[t] += the span's products, of all groups of kRows tokens at most.
  template <int kRows>
  void AddSpan(Span span, int64_t groups, __m512 (*dots)[1]) {
    // What is multiplied can be stored tens of cycles later, and what is stored
    // be loaded as many after that, so parts are multiplied two ahead and
    // stored one ahead of being summed.
    Multiply<kEven>(0, 0);
    Multiply<kOdd>(0, 1);
    Store<kEven>(&even_);
    for (int64_t group = 0; group < groups; ++group, dots += kTileRows) {
      __m512 sums[kRows];
#pragma GCC unroll 16
      for (int t = 0; t < kRows; ++t) {
        sums[t] = kNarrow ? V::Zero() : dots[t][0];
      }
      for (int part = 0; part < span.parts(); part += 2) {
        const bool is_last = part + 2 == span.parts();
        const int64_t next_group = is_last ? group + 1 : group;
        const int next = is_last ? 0 : part + 2;
        const bool has_next = next_group < groups;
        if (has_next) Multiply<kEven>(next_group, next);
        AddPart(group, part, even_, sums);
        Store<kOdd>(&odd_);
        if (has_next) Multiply<kOdd>(next_group, next + 1);
        AddPart(group, part + 1, odd_, sums);
        if (has_next) Store<kEven>(&even_);
      }
#pragma GCC unroll 16
      for (int t = 0; t < kRows; ++t) {
        // Blocks of a span share the scale of narrow activations.
        dots[t][0] = kNarrow ? V::Fma(V::Set(gathered_.scales[group][0][t]),
                                      sums[t], dots[t][0])
                             : sums[t];
      }
    }
  }

  template <int kTile>
  [[gnu::always_inline]] inline void Multiply(int64_t group, int part) {
    const auto& planes = gathered_.codes[group][part];
    Tiles::template Load<kRight>(codes_ + part * kDepth * kPanelRows, 64);
    Tiles::template Zero<kTile>();
    Tiles::template Load<kLeft>(planes[0], kDepth);
    Tiles::template AddSignedSigned<kTile, kLeft, kRight>();
    if constexpr (!kNarrow) {
      Tiles::template Zero<kTile + 1>();
      Tiles::template Load<kLeft>(planes[1], kDepth);
      Tiles::template AddSignedSigned<kTile + 1, kLeft, kRight>();
    }
  }

  template <int kTile>
  [[gnu::always_inline]] static inline void Store(Products* to) {
    Tiles::template Store<kTile>((*to)[0]);
    if constexpr (!kNarrow) Tiles::template Store<kTile + 1>((*to)[1]);
  }

  template <int kRows>
  [[gnu::always_inline]] inline void AddPart(int64_t group, int part,
                                             const Products& products,
                                             __m512 (&sums)[kRows]) {
    const int block = part / kBlockParts;
    const BlockScales<V, kFormat>& scales = scales_[block];
#pragma GCC unroll 16
    for (int t = 0; t < kRows; ++t) {
      __m512i dots = _mm512_load_si512(products[0] + t * kPanelRows);
      if constexpr (!kNarrow) {
        dots =
            _mm512_add_epi32(_mm512_slli_epi32(dots, 8),
                             _mm512_load_si512(products[1] + t * kPanelRows));
      }
      const __m512 x_sum =
          F::kHasMinimum ? V::Set(gathered_.sums[group][part][t]) : V::Zero();
      const __m512 of_part = _mm512_cvtepi32_ps(dots);
      sums[t] =
          kNarrow
              ? scales.Accumulate(sums[t], part % kBlockParts, of_part, x_sum)
              : scales.Accumulate(sums[t], part % kBlockParts, of_part,
                                  V::Set(gathered_.scales[group][block][t]),
                                  x_sum);
    }
  }

  const MatMulArgs& args_;
  const PanelRegions regions_;
  int64_t rows_;  // tokens of a tile
  Gathered gathered_ = {};
  alignas(64) std::byte codes_[kSuperBlocks * kPanelRows * kQuantBlock];
  BlockScales<V, kFormat> scales_[kSuperBlocks];
  alignas(64) Products even_ = {}, odd_ = {};
  __m512 dots_[kPanels][kGroups * kTileRows][1];
};

}  // namespace
}  // namespace mlad::amx
