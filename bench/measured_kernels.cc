#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "absl/types/span.h"

#include "attention/merge.h"
#include "attention/rope.h"
#include "base/check.h"
#include "bench/measured_rates.h"
#include "bench/stopwatch.h"
#include "bench/synth_values.h"
#include "kernels/activations.h"
#include "moe/dispatch.h"
#include "moe/router.h"

namespace mlad {
namespace {

constexpr int64_t kCols = 4096;
constexpr int64_t kRank = 512, kRope = 64, kRow = kRank + kRope;

/// 64-byte aligned, uninitialised.
class AlignedBuffer {
 public:
  explicit AlignedBuffer(int64_t bytes)
      : storage_(new std::byte[bytes + kAlignment]) {
    const auto at = reinterpret_cast<uintptr_t>(storage_.get());
    data_ = storage_.get() + (kAlignment - at % kAlignment) % kAlignment;
  }
  std::byte* data() const { return data_; }

 private:
  static constexpr int64_t kAlignment = 64;
  std::unique_ptr<std::byte[]> storage_;
  std::byte* data_;
};

std::vector<float> RandomFloats(int64_t count) {
  std::mt19937 random(1);
  std::vector<float> values(count);
  for (float& value : values) {
    value = static_cast<float>(random() >> 8) * 0x1p-23f - 1.0f;
  }
  return values;
}

/// Quantised rows of random floats.
class QuantizedBatch {
 public:
  QuantizedBatch(const KernelTable& kernels, int64_t rows)
      : floats_(RandomFloats(rows * kCols)),
        blocks_(rows * kCols / kQuantBlock *
                static_cast<int64_t>(sizeof(ActivationBlock))),
        scales_(rows * kCols / kQuantBlock),
        sums_(scales_.size()),
        bits_(rows) {
    view_ = {kCols,
             floats_.data(),
             {reinterpret_cast<ActivationBlock*>(blocks_.data()),
              scales_.data(), sums_.data(), bits_.data()}};
    for (int64_t r = 0; r < rows; ++r) view_.Quantize(kernels, r, view_.Row(r));
  }
  const Activations& view() const { return view_; }

 private:
  std::vector<float> floats_;
  AlignedBuffer blocks_;
  std::vector<float> scales_;
  std::vector<ActivationSums> sums_;
  std::vector<ActivationBits> bits_;
  Activations view_;
};

/// A matrix of `type`, too large for the caches: the same panels repeated.
class LargeMatrix {
 public:
  LargeMatrix(TensorType type, int64_t bytes)
      : format_(PackedFormatFor(type)),
        panels_(bytes / PanelBytes(format_, kCols) / kPiece * kPiece),
        data_(panels_ * PanelBytes(format_, kCols)) {
    const int64_t row_bytes = TensorRowBytes(type, kCols);
    std::vector<std::byte> rows(kPiece * kPanelRows * row_bytes);
    SynthValues(type, {}).Fill(1, absl::MakeSpan(rows));
    PackRows(type, rows.data(), kPiece * kPanelRows, kCols, data_.data());
    const int64_t piece_bytes = kPiece * PanelBytes(format_, kCols);
    for (int64_t p = kPiece; p < panels_; p += kPiece) {
      std::memcpy(data_.data() + p / kPiece * piece_bytes, data_.data(),
                  piece_bytes);
    }
  }

  PackedMatrix matrix() const {
    return {format_, panels_ * kPanelRows, kCols, data_.data()};
  }
  /// Panels of one call, as few as a worker has of a matrix.
  static constexpr int64_t kPiece = 16;

 private:
  PackedFormat format_;
  int64_t panels_;
  AlignedBuffer data_;
};

MatMulRate MeasureMatMul(const KernelTable& kernels, TensorType type) {
  // More tokens compute for longer, so fewer bytes suffice.
  constexpr int64_t kMemoryBytes = int64_t{256} << 20;
  constexpr int64_t kMostProducts = int64_t{8} << 20;
  const LargeMatrix weights(type, kMemoryBytes);
  MatMulRate rate;
  for (const int64_t tokens : {1, 2, 4, 8, 16, 32, 64}) {
    const QuantizedBatch batch(kernels, tokens);
    MatMulArgs args;
    args.w = weights.matrix();
    args.tokens = tokens;
    args.x_f32 = batch.view().f32;
    args.x_q = batch.view().q;
    std::vector<float> out(tokens * args.w.rows);
    args.out = out.data();
    args.out_stride = args.w.rows;
    const int64_t panels =
        std::min(args.w.panels(),
                 std::max<int64_t>(kMostProducts * kPanelRows / kCols / tokens,
                                   LargeMatrix::kPiece));
    const double seconds = BestSeconds([&] {
      for (int64_t p = 0; p < panels; p += LargeMatrix::kPiece) {
        args.panel_begin = p;
        args.panel_end = std::min(p + LargeMatrix::kPiece, panels);
        kernels.matmul(args);
      }
    });
    const auto bytes =
        static_cast<double>(panels * PanelBytes(args.w.format, kCols));
    rate.points.push_back({tokens, seconds / bytes});
  }
  return rate;
}

void MeasureRows(const KernelTable& kernels, KernelRates& rates) {
  const QuantizedBatch batch(kernels, 1);
  const std::vector<float> x = RandomFloats(kCols),
                           weight = RandomFloats(kCols);
  std::vector<float> out(kCols);
  const double norm_s = BestSeconds([&] {
    kernels.rms_norm(x.data(), weight.data(), kCols, 1e-6f, out.data());
    batch.view().Quantize(kernels, 0, out.data());
  });
  const double quantize_s =
      BestSeconds([&] { batch.view().Quantize(kernels, 0, x.data()); });
  const double add_s = BestSeconds(
      [&] { kernels.scaled_add(x.data(), kCols, 1e-3f, out.data()); });
  rates.norm_s_per_float = norm_s / kCols;
  rates.quantize_s_per_float = quantize_s / kCols;
  rates.add_s_per_float = add_s / kCols;
}

void MeasureStoring(const KernelTable& kernels, KvType type,
                    KernelRates& rates) {
  std::vector<std::byte> stored(*KvRowBytes(type, kRow));
  const std::vector<float> source = RandomFloats(kRow), weight(kRank, 1.0f);
  RopeConfig config;
  config.dim = kRope;
  std::vector<float> rotation(kRope), row(kRow);
  RopeFrequencies(config).Rotate(1000, rotation.data());
  rates.store_s_per_latent = BestSeconds([&] {
    kernels.rms_norm(source.data(), weight.data(), kRank, 1e-6f, row.data());
    std::copy_n(source.data() + kRank, kRope, row.data() + kRank);
    ApplyRope(rotation.data(), kRope, row.data() + kRank);
    kernels.encode_latent(type, row.data(), kRow, stored.data());
  });
}

void MeasurePartials(KernelRates& rates) {
  constexpr int64_t kHeads = 8;
  std::vector<float> out = RandomFloats(kLanes * kHeads * kRank);
  std::vector<float> lse(kLanes * kHeads, 1.0f);
  const PartialView::OfNode node = {out.data(), lse.data()};
  MergeArgs args;
  args.partials = {absl::MakeConstSpan(&node, 1), kHeads, kRank};
  args.position = int64_t{kLanes} * kPagePositions;
  args.head_end = kHeads;
  std::vector<float> merged(kHeads * kRank);
  rates.merge_s_per_float =
      BestSeconds([&] { MergePartials(args, merged.data(), kRank, nullptr); }) /
      (kLanes * kHeads * kRank);
  // Clearing a state and storing it normalised, as absorbed.cc does.
  float factor = 0.5f;
  rates.partial_s_per_float =
      BestSeconds([&] {
        std::fill_n(merged.data(), kHeads * kRank, factor);
        for (int64_t i = 0; i < kHeads * kRank; ++i) {
          out[i] = factor * merged[i];
        }
        factor = out[1];
      }) /
      (kHeads * kRank);
}

/// V3's router, and the grouping that every worker does.
void MeasureRouting(KernelRates& rates) {
  RouterShape shape;
  shape.experts = 256;
  shape.experts_per_token = 8;
  shape.groups = 8;
  shape.groups_used = 4;
  shape.scoring = RouterScoring::kSigmoid;
  shape.normalize = true;
  const std::vector<float> logits = RandomFloats(shape.experts);
  std::vector<float> scratch(RouterScratchFloats(shape));
  std::vector<int32_t> ids(shape.experts_per_token);
  std::vector<float> weights(shape.experts_per_token);
  ExpertDispatch dispatch(shape.experts, shape.experts_per_token, 1);
  rates.route_s_per_expert = BestSeconds([&] {
                               RouteToken(shape, logits, {}, scratch.data(),
                                          ids.data(), weights.data());
                               dispatch.Build(ids.data(), weights.data(), 1);
                             }) /
                             static_cast<double>(shape.experts);
}

}  // namespace

KernelRates MeasureKernels(const KernelTable& kernels, KvType kv_type) {
  KernelRates rates;
  for (const TensorType type :
       {TensorType::kIQ4_NL, TensorType::kQ8_0, TensorType::kF32}) {
    rates.matmul[PackedFormatFor(type)] = MeasureMatMul(kernels, type);
  }
  MeasureRows(kernels, rates);
  MeasureStoring(kernels, kv_type, rates);
  MeasurePartials(rates);
  MeasureRouting(rates);
  return rates;
}

}  // namespace mlad
