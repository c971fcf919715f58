#include <algorithm>

#include "model/stages.h"

namespace mlad {
namespace {

/// Rows of activations that stay in a core's cache while its panels pass by.
constexpr int64_t kTokenTile = 64;

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

void MultiplyShard(StepState& state, const WorkerContext& worker,
                   const ShardProduct& product) {
  const PackedMatrix& matrix = product.shard->matrix;
  const WorkRange panels =
      SplitEvenly(matrix.panels(), worker.workers, worker.worker);
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

}  // namespace mlad
