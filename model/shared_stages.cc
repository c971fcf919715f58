#include <algorithm>

#include "model/stages.h"

namespace mlad {
namespace {

/// Rows of activations that stay in a core's cache while its panels pass by.
constexpr int64_t kTokenTile = 64;

/// Panels of a piece of work that make it worth a worker's while to ask for it:
/// 64 KiB of weights.
int64_t LeastPiece(int64_t panels, int64_t bytes) {
  constexpr int64_t kPieceBytes = 64 << 10;
  return std::max<int64_t>(1,
                           panels * kPieceBytes / std::max<int64_t>(bytes, 1));
}

/// Panels [begin, end) of the product.
void MultiplyPart(StepState& state, const WorkerContext& worker,
                  const ShardProduct& product, WorkRange panels) {
  const PackedMatrix& matrix = product.shard->matrix;
  if (panels.begin == panels.end) return;
  MatMulArgs args;
  args.w = matrix;
  args.panel_begin = panels.begin;
  args.panel_end = panels.end;
  args.epilogue = product.epilogue;
  args.out_stride = product.out_stride;
  for (int64_t t = 0; t < product.tokens; t += kTokenTile) {
    args.tokens = std::min(kTokenTile, product.tokens - t);
    args.x_f32 = product.x.f32 == nullptr ? nullptr : product.x.Row(t);
    args.x_q = product.x.QuantizedRow(t);
    args.out = product.out + t * product.out_stride;
    state.kernels->matmul(args);
  }
  state.own(worker).traffic->Add(
      true,
      (panels.end - panels.begin) * PanelBytes(matrix.format, matrix.cols));
}

}  // namespace

void NormRows(StepState& state, const WorkerContext& worker, const float* rows,
              int64_t count, const float* weight, const Activations& out) {
  const WorkRange range = SplitEvenly(count, worker.workers, worker.worker);
  const float epsilon = static_cast<float>(state.shape.rms_norm_eps);
  for (int64_t r = range.begin; r < range.end; ++r) {
    state.kernels->rms_norm(rows + r * out.cols, weight, out.cols, epsilon,
                            out.Row(r));
    out.Quantize(*state.kernels, r, out.Row(r), state.plan.rows()[r].bits);
  }
  state.own(worker).traffic->Add(worker.node == 0,
                                 (range.end - range.begin) * out.cols *
                                     static_cast<int64_t>(sizeof(float)));
}

void MultiplyShards(StepState& state, const WorkerContext& worker,
                    absl::Span<const ShardProduct> products) {
  int64_t panels = 0, bytes = 0;
  for (const ShardProduct& product : products) {
    const PackedMatrix& matrix = product.shard->matrix;
    panels += matrix.panels();
    bytes += matrix.panels() * PanelBytes(matrix.format, matrix.cols);
  }
  worker.ShareOut(panels, LeastPiece(panels, bytes), [&](WorkRange share) {
    int64_t first = 0;
    for (const ShardProduct& product : products) {
      const int64_t count = product.shard->matrix.panels();
      MultiplyPart(state, worker, product,
                   {std::clamp<int64_t>(share.begin - first, 0, count),
                    std::clamp<int64_t>(share.end - first, 0, count)});
      first += count;
    }
  });
}

}  // namespace mlad
