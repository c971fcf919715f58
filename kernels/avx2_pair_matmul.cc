// All block formats for several tokens: codes are made 16-bit numbers once for
// many tokens, activations once for many panels. What it gives has the bits of
// QuantMatMul (avx2_quant_matmul.h).
#include <cstdint>

#include <immintrin.h>

#include "kernels/avx2_codes.h"
#include "kernels/avx2_kernels.h"
#include "kernels/avx2_pairs.h"
#include "kernels/simd_matmul.h"
#include "kernels/simd_quant_format.h"
#include "kernels/vector_avx2.h"

namespace mlad::avx2 {
namespace {

/// kNarrow: of activations of 8 bits, whose blocks of a span share a scale and
/// whose low plane is empty.
template <PackedFormat kFormat, bool kNarrow>
class PairMatMul {
 public:
  using V = Avx2;
  static constexpr int kTokens = 5;  // 10 sums, and what is multiplied

  static void Run(const MatMulArgs& args) {
    PairMatMul matmul(args);
    for (int64_t first = 0; first < args.tokens; first += kBatchTokens) {
      const int64_t tokens = Least(args.tokens - first, kBatchTokens);
      for (int64_t p = args.panel_begin; p < args.panel_end; p += kPanels) {
        matmul.RunBatch(first, tokens, p, Least(args.panel_end - p, kPanels));
      }
    }
  }

 private:
  using F = QuantFormat<kFormat>;
  static constexpr int64_t kBatchTokens = 64;
  static constexpr int64_t kPanels = 16;  // that share what is gathered
  static constexpr int kPartGroups = kBlockGroups / F::kScalesPerBlock;

  struct Span {
    int64_t begin, end;  // blocks
    int64_t blocks() const { return end - begin; }
  };
  /// 256 columns of a token.
  struct Inputs {
    BlockPairs pairs[kSuperBlocks];
    float scales[kSuperBlocks];                    // kNarrow: the first only
    float sums[kSuperBlocks][F::kScalesPerBlock];  // of formats with minima
  };
  /// A block's weights less minima, before scaling.
  struct BlockWeights {
    __m256i even[kBlockGroups][kHalves];  // as in BlockPairs
    __m256i odd[kBlockGroups][kHalves];
    BlockScales<V, kFormat> scales[kHalves];
  };
  using Dots = __m256[kHalves];

  explicit PairMatMul(const MatMulArgs& args)
      : args_(args), regions_(GetPanelRegions(args.w.format, args.w.cols)) {}

  static int64_t Least(int64_t a, int64_t b) { return a < b ? a : b; }

  void RunBatch(int64_t first_token, int64_t tokens, int64_t first_panel,
                int64_t panels) {
    for (int64_t p = 0; p < panels; ++p) {
      for (int64_t t = 0; t < tokens; ++t) {
        dots_[p][t][0] = dots_[p][t][1] = V::Zero();
      }
    }
    const int64_t blocks = args_.w.cols / kQuantBlock;
    for (int64_t begin = 0; begin < blocks; begin += kSuperBlocks) {
      const Span span = {begin, Least(blocks, begin + kSuperBlocks)};
      for (int64_t t = 0; t < tokens; ++t) Gather(span, first_token + t, t);
      for (int64_t p = 0; p < panels; ++p) {
        Unpack(span, args_.w.data + (first_panel + p) * regions_.bytes);
        ForTokenTiles<SpanTile, PairMatMul, 1, kTokens>({this, span, dots_[p]},
                                                        0, tokens);
      }
    }
    for (int64_t p = 0; p < panels; ++p) {
      for (int64_t t = 0; t < tokens; ++t) {
        StorePanel<V>(args_, first_panel + p, first_token + t, dots_[p][t]);
      }
    }
  }

  void Gather(Span span, int64_t token, int64_t t) {
    const TokenRow x =
        TokenRow::Of(args_, args_.x_rows ? args_.x_rows[token] : token);
    Inputs& inputs = inputs_[t];
    for (int64_t b = span.begin; b < span.end; ++b) {
      __builtin_prefetch(x.blocks + b + kSuperBlocks);
      const int64_t i = b - span.begin;
      if constexpr (kNarrow) {
        inputs.pairs[i].LoadHigh(x.blocks[b]);
      } else {
        inputs.pairs[i].Load(x.blocks[b]);
        inputs.scales[i] = x.scales[b];
      }
      if constexpr (F::kHasMinimum) {
        for (int part = 0; part < F::kScalesPerBlock; ++part) {
          const int32_t sum = F::SumOfPart(x.sums[b], part);
          // Of multiples of 256, if narrow.
          inputs.sums[i][part] = static_cast<float>(kNarrow ? sum >> 8 : sum);
        }
      }
    }
    if constexpr (kNarrow) inputs.scales[0] = 256 * x.scales[span.begin];
  }

  void Unpack(Span span, const std::byte* panel) {
    const __m256i offset = _mm256_set1_epi16(F::kOffset);
    for (int64_t b = span.begin; b < span.end; ++b) {
      PrefetchCodes<kFormat>(panel, b);
      BlockWeights& weights = weights_[b - span.begin];
      ForGroups<kFormat>(
          regions_, panel, b,
          [&](int g, int half, __m256i codes) __attribute__((always_inline)) {
            const __m256i even =
                _mm256_and_si256(codes, _mm256_set1_epi16(255));
            const __m256i odd = _mm256_srli_epi16(codes, 8);
            weights.even[g][half] = _mm256_sub_epi16(even, offset);
            weights.odd[g][half] = _mm256_sub_epi16(odd, offset);
          });
      for (int half = 0; half < kHalves; ++half) {
        weights.scales[half].Load(panel, regions_, b, half * V::kLanes);
      }
    }
  }

  struct SpanTile {
    struct Job {
      PairMatMul* matmul;
      Span span;
      Dots* dots;
    };
    template <class Kernel, int kOnePanel, int kTokenCount>
    [[gnu::noinline]] static void Run(const Job& job, int64_t token) {
      job.matmul->template AddSpan<kTokenCount>(
          job.span, job.matmul->inputs_ + token, job.dots + token);
    }
  };

  /// dots[t] += the products of the span with token t.
  template <int kTokenCount>
  [[gnu::always_inline]] inline void AddSpan(Span span, const Inputs* x,
                                             Dots* dots) const {
    __m256 sums[kTokenCount][kHalves];
#pragma GCC unroll 5
    for (int t = 0; t < kTokenCount; ++t) {
#pragma GCC unroll 2
      for (int half = 0; half < kHalves; ++half) {
        sums[t][half] = kNarrow ? V::Zero() : dots[t][half];
      }
    }
    for (int64_t block = 0; block < span.blocks(); ++block) {
#pragma GCC unroll 2
      for (int part = 0; part < F::kScalesPerBlock; ++part) {
        AddPart<kTokenCount>(x, block, part, sums);
      }
    }
#pragma GCC unroll 5
    for (int t = 0; t < kTokenCount; ++t) {
#pragma GCC unroll 2
      for (int half = 0; half < kHalves; ++half) {
        dots[t][half] = kNarrow ? V::Fma(V::Set(x[t].scales[0]), sums[t][half],
                                         dots[t][half])
                                : sums[t][half];
      }
    }
  }

  /// Adds two columns of group g, whose activations are among `pairs`.
  template <int kTokenCount>
  [[gnu::always_inline]] static inline void AddColumns(
      const __m256i (&weights)[kHalves], const Inputs* x, int64_t block,
      int32_t (BlockPairs::*pairs)[kBlockGroups], int g,
      __m256i (&products)[kTokenCount][kHalves]) {
    const __m256i w[] = {weights[0], weights[1]};
#pragma GCC unroll 5
    for (int t = 0; t < kTokenCount; ++t) {
      const __m256i pair = _mm256_set1_epi32((x[t].pairs[block].*pairs)[g]);
      products[t][0] = AddPairs(products[t][0], w[0], pair);
      products[t][1] = AddPairs(products[t][1], w[1], pair);
    }
  }

  /// Adds the columns of a block that share scale `part`.
  template <int kTokenCount>
  [[gnu::always_inline]] inline void AddPart(
      const Inputs* x, int64_t block, int part,
      __m256 (&sums)[kTokenCount][kHalves]) const {
    const BlockWeights& weights = weights_[block];
    __m256i products[kTokenCount][kHalves];
#pragma GCC unroll 5
    for (int t = 0; t < kTokenCount; ++t) {
      products[t][0] = products[t][1] = _mm256_setzero_si256();
    }
#pragma GCC unroll 1
    for (int g = part * kPartGroups; g < (part + 1) * kPartGroups; ++g) {
      AddColumns(weights.even[g], x, block, &BlockPairs::even, g, products);
      AddColumns(weights.odd[g], x, block, &BlockPairs::odd, g, products);
    }
#pragma GCC unroll 5
    for (int t = 0; t < kTokenCount; ++t) {
      const __m256 x_sum =
          F::kHasMinimum ? V::Set(x[t].sums[block][part]) : V::Zero();
#pragma GCC unroll 2
      for (int half = 0; half < kHalves; ++half) {
        const BlockScales<V, kFormat>& scales = weights.scales[half];
        const __m256 of_part = _mm256_cvtepi32_ps(products[t][half]);
        sums[t][half] =
            kNarrow ? scales.Accumulate(sums[t][half], part, of_part, x_sum)
                    : scales.Accumulate(sums[t][half], part, of_part,
                                        V::Set(x[t].scales[block]), x_sum);
      }
    }
  }

  const MatMulArgs& args_;
  const PanelRegions regions_;
  BlockWeights weights_[kSuperBlocks];
  Inputs inputs_[kBatchTokens];
  Dots dots_[kPanels][kBatchTokens];
};

}  // namespace

void MatMulPairs(const MatMulArgs& args, ActivationBits bits) {
  ForBlockFormat(args.w.format, [&]<PackedFormat kFormat>() {
    if (bits == ActivationBits::k8) {
      PairMatMul<kFormat, true>::Run(args);
    } else {
      PairMatMul<kFormat, false>::Run(args);
    }
  });
}

}  // namespace mlad::avx2
