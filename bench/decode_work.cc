#include "bench/decode_work.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "kernels/kernels.h"
#include "model/step_plan.h"

namespace mlad {
namespace {

/// Bytes of a quantised activation, its share of scale and sums included.
constexpr double kQuantizedBytes =
    static_cast<double>(sizeof(ActivationBlock) + sizeof(float) +
                        sizeof(ActivationSums)) /
    kQuantBlock;

/// The matrices of a list of tensors by name.
class TensorTable {
 public:
  explicit TensorTable(const std::vector<SynthTensor>& tensors)
      : tensors_(tensors) {}

  /// One expert or head of it; no rows when there is none.
  MatrixShape Find(const std::string& name) const {
    for (const SynthTensor& tensor : tensors_) {
      if (tensor.name != name) continue;
      return {PackedFormatFor(tensor.type),
              static_cast<int64_t>(tensor.shape[1]),
              static_cast<int64_t>(tensor.shape[0])};
    }
    return {};
  }
  SwiGluShape FindSwiGlu(const std::string& block,
                         const std::string& suffix) const {
    return {Find(absl::StrCat(block, "ffn_gate", suffix, ".weight")),
            Find(absl::StrCat(block, "ffn_up", suffix, ".weight")),
            Find(absl::StrCat(block, "ffn_down", suffix, ".weight"))};
  }

 private:
  const std::vector<SynthTensor>& tensors_;
};

LayerShape ReadLayer(const TensorTable& table, const SynthShape& shape,
                     int64_t layer) {
  const std::string block = absl::StrCat("blk.", layer, ".");
  LayerShape result;
  result.q_a = table.Find(block + "attn_q_a.weight");
  result.q = table.Find(
      block + (shape.q_lora > 0 ? "attn_q_b.weight" : "attn_q.weight"));
  result.kv_a = table.Find(block + "attn_kv_a_mqa.weight");
  result.k_b = table.Find(block + "attn_k_b.weight");
  result.v_b = table.Find(block + "attn_v_b.weight");
  result.output = table.Find(block + "attn_output.weight");
  if (layer < shape.dense_layers) {
    result.always = table.FindSwiGlu(block, "");
  } else {
    result.router = table.Find(block + "ffn_gate_inp.weight");
    result.expert = table.FindSwiGlu(block, "_exps");
    result.always = table.FindSwiGlu(block, "_shexp");
  }
  return result;
}

/// Files of one layer of each kind: of the others only the number matters.
SynthShape TwoLayers(const SynthShape& shape) {
  SynthShape two = shape;
  two.layers = std::min<int64_t>(shape.layers, shape.dense_layers + 1);
  return two;
}

absl::Status CheckRates(const LayerShape& layer, const KernelRates& rates) {
  for (const MatrixShape* matrix :
       {&layer.q_a, &layer.q, &layer.kv_a, &layer.k_b, &layer.v_b,
        &layer.output, &layer.router, &layer.expert.gate, &layer.expert.down,
        &layer.always.gate, &layer.always.down}) {
    if (matrix->rows > 0 && !rates.Has(matrix->format)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the speed of packed format ",
                       static_cast<int>(matrix->format), " was not measured"));
    }
  }
  return absl::OkStatus();
}

void AddEmbedding(const WorkContext& context) {
  const DecodeCase& c = context.c;
  const auto row_bytes =
      static_cast<double>(TensorRowBytes(c.types.embedding, c.shape.hidden));
  StageWork& stage = context.Add("embed");
  for (NodeWork& node : stage.nodes) {
    node.compute_s =
        static_cast<double>(c.shape.hidden) * context.rates.norm_s_per_float;
    node.local_bytes = static_cast<double>(c.batch) * row_bytes / c.nodes;
    node.memory_bytes = node.local_bytes;
  }
}

/// The step's logits, some rows at a time.
void AddLogits(const WorkContext& context) {
  const int64_t at_once =
      MakeStepLimits(context.c.shape.heads, context.c.shape.kv_lora, 1)
          .logits_rows;
  DecodeCase tile = context.c;
  tile.batch = std::min(at_once, context.c.batch);
  const WorkContext of_tile = {tile, context.rates,
                               (context.c.batch + at_once - 1) / at_once,
                               context.stages};
  const MatrixShape output = {PackedFormatFor(tile.types.output),
                              tile.shape.vocab, tile.shape.hidden};
  StageWork& norm = of_tile.Add("output_norm", SyncScope::kOwnNode);
  for (int n = 0; n < tile.nodes; ++n) {
    norm.nodes[n] = RowWork(of_tile, n, tile.batch, tile.shape.hidden,
                            context.rates.norm_s_per_float);
    // The engine's counters leave these rows out.
    norm.nodes[n].local_bytes = norm.nodes[n].remote_bytes = 0;
  }
  StageWork& logits = of_tile.Add("logits");
  for (int n = 0; n < tile.nodes; ++n) {
    logits.nodes[n] = ShardedProduct(of_tile, output, kPanelRows, n);
  }
  of_tile.Add("consume");
}

}  // namespace

NodeWork& NodeWork::operator+=(const NodeWork& other) {
  stream_s += other.stream_s;
  compute_s += other.compute_s;
  near_bytes += other.near_bytes;
  first_bytes += other.first_bytes;
  spread_bytes += other.spread_bytes;
  memory_bytes += other.memory_bytes;
  far_memory_bytes += other.far_memory_bytes;
  local_bytes += other.local_bytes;
  remote_bytes += other.remote_bytes;
  return *this;
}

StageWork& WorkContext::Add(const std::string& name, SyncScope end) const {
  stages.push_back({name, std::vector<NodeWork>(c.nodes), times, end});
  return stages.back();
}

NodeWork ShardedProduct(const WorkContext& context, const MatrixShape& matrix,
                        int64_t granule_rows, int node) {
  const DecodeCase& c = context.c;
  NodeWork work;
  if (matrix.rows == 0) return work;
  const int64_t granules = (matrix.rows + granule_rows - 1) / granule_rows;
  const int64_t rows =
      SplitEvenly(granules, c.nodes, node).size() * granule_rows;
  const int64_t panels = (rows + kPanelRows - 1) / kPanelRows;
  const int64_t most = SplitEvenly(panels, c.workers, 0).size();
  const auto tokens = static_cast<double>(c.batch);
  work.stream_s = static_cast<double>(most) * matrix.panel_bytes() *
                  context.rates.matmul.at(matrix.format).At(c.batch);
  work.memory_bytes = static_cast<double>(panels) * matrix.panel_bytes();
  work.local_bytes = work.memory_bytes;
  if (most > 0) {
    const double each =
        ReadsFloatActivations(matrix.format) ? kFloatBytes : kQuantizedBytes;
    work.near_bytes = tokens * static_cast<double>(matrix.cols) * each;
  }
  return work;
}

NodeWork RowWork(const WorkContext& context, int node, int64_t rows,
                 int64_t floats, double s_per_float) {
  const auto most = static_cast<double>(
      SplitEvenly(rows, context.c.workers, 0).size() * floats);
  const double bytes = kFloatBytes * static_cast<double>(rows * floats);
  NodeWork work;
  work.compute_s = most * s_per_float;
  (node == 0 ? work.near_bytes : work.first_bytes) = most * kFloatBytes;
  (node == 0 ? work.local_bytes : work.remote_bytes) = bytes;
  return work;
}

absl::StatusOr<LayerShape> ShapeOfLayer(const SynthShape& shape,
                                        const SynthTypes& types,
                                        int64_t layer) {
  MLAD_ASSIGN_OR_RETURN(const auto tensors, SynthTensors(shape, types, true));
  return ReadLayer(TensorTable(tensors), shape, layer);
}

absl::StatusOr<double> PackedModelBytes(const SynthShape& shape,
                                        const SynthTypes& types) {
  MLAD_ASSIGN_OR_RETURN(const auto tensors, SynthTensors(shape, types, true));
  double bytes = 0;
  for (const SynthTensor& tensor : tensors) {
    if (tensor.shape.size() < 2 || tensor.name == "token_embd.weight") {
      bytes += static_cast<double>(tensor.bytes());
      continue;
    }
    const auto copies = tensor.shape.size() > 2 ? tensor.shape[2] : 1;
    bytes +=
        static_cast<double>(copies) *
        static_cast<double>(PackedBytes(PackedFormatFor(tensor.type),
                                        static_cast<int64_t>(tensor.shape[1]),
                                        static_cast<int64_t>(tensor.shape[0])));
  }
  return bytes;
}

absl::StatusOr<std::vector<StageWork>> DecodeWork(const DecodeCase& c,
                                                  const KernelRates& rates) {
  MLAD_RETURN_IF_ERROR(
      KvRowBytes(c.kv_type, c.shape.kv_lora + c.shape.rope).status());
  MLAD_ASSIGN_OR_RETURN(const auto tensors,
                        SynthTensors(TwoLayers(c.shape), c.types, true));
  const TensorTable table(tensors);
  std::vector<StageWork> stages;
  AddEmbedding({c, rates, 1, stages});
  const int64_t dense = std::min(c.shape.dense_layers, c.shape.layers);
  for (const bool experts : {false, true}) {
    const int64_t count = experts ? c.shape.layers - dense : dense;
    if (count == 0) continue;
    const LayerShape layer = ReadLayer(table, c.shape, experts ? dense : 0);
    MLAD_RETURN_IF_ERROR(CheckRates(layer, rates));
    const WorkContext context = {c, rates, count, stages};
    AddAttentionWork(context, layer);
    AddFeedForwardWork(context, layer);
  }
  AddLogits({c, rates, 1, stages});
  return stages;
}

}  // namespace mlad
