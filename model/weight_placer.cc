#include "model/weight_placer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace mlad {
namespace {

/// The float form in which the transpose of a `type` matrix is stored: exact
/// for float types, rounded to 11 bits (2^-12 relative) for block types.
PackedFormat TransposedFormat(TensorType type) {
  switch (type) {
    case TensorType::kF32:
      return PackedFormat::kF32;
    case TensorType::kBF16:
      return PackedFormat::kBF16;
    default:
      return PackedFormat::kF16;
  }
}

/// data + offset; null stays null (files opened for their header only).
const std::byte* At(const std::byte* data, int64_t offset) {
  return data == nullptr ? nullptr : data + offset;
}

/// Jobs are cut to about this much packed output, so that readers share them.
constexpr int64_t kJobBytes = 4 << 20;

}  // namespace

WeightPlacer::WeightPlacer(const GgufFile& file, int nodes,
                           absl::Span<std::byte* const> bases)
    : file_(file), nodes_(nodes) {
  for (int n = 0; n < nodes; ++n) {
    memory_.emplace_back(bases.empty() ? nullptr : bases[n]);
  }
}

const GgufTensor& WeightPlacer::Tensor(const std::string& name) const {
  const GgufTensor* tensor = file_.FindTensor(name);
  MLAD_CHECK(tensor != nullptr);  // ReadHyperparameters has seen it
  return *tensor;
}

void WeightPlacer::Plan(const std::string& name, Placement placement,
                        int64_t granules, int64_t granule_bytes,
                        int64_t copies) {
  planned_.push_back({name, placement, granules, granule_bytes, copies});
}

void WeightPlacer::AddPackJobs(const PackJob& whole) {
  const int64_t panel_bytes = PanelBytes(whole.format, whole.cols);
  const int64_t rows_per_job =
      std::max<int64_t>(1, kJobBytes / panel_bytes) * kPanelRows;
  for (int64_t row = 0; row < whole.rows; row += rows_per_job) {
    PackJob job = whole;
    job.rows = std::min(rows_per_job, whole.rows - row);
    job.source = At(whole.source, row * TensorRowBytes(whole.type, whole.cols));
    job.out += row / kPanelRows * panel_bytes;
    jobs_.push_back(job);
  }
}

ReplicatedVector WeightPlacer::Vector(const std::string& name) {
  const GgufTensor& tensor = Tensor(name);
  const int64_t n = tensor.shape[0];
  ReplicatedVector result;
  for (int node = 0; node < nodes_; ++node) {
    float* out = memory_[node].Take<float>(n);
    result.copies.push_back(out);
    PackJob job;
    job.kind = PackJob::Kind::kToFloat;
    job.node = node;
    job.type = tensor.type;
    job.source = tensor.data;
    job.rows = 1;
    job.cols = n;
    job.out = reinterpret_cast<std::byte*>(out);
    jobs_.push_back(job);
  }
  Plan(name, Placement::kReplicated, 1, n * static_cast<int64_t>(sizeof(float)),
       1);
  return result;
}

ShardedMatrix WeightPlacer::SplitRows(const GgufTensor& tensor,
                                      const std::byte* source, int64_t rows,
                                      int64_t granule_rows) {
  const int64_t cols = tensor.shape[0];
  const PackedFormat format = PackedFormatFor(tensor.type);
  const int64_t granules = (rows + granule_rows - 1) / granule_rows;
  ShardedMatrix result;
  result.rows = rows;
  result.cols = cols;
  for (int node = 0; node < nodes_; ++node) {
    const WorkRange range = SplitEvenly(granules, nodes_, node);
    const int64_t begin = std::min(range.begin * granule_rows, rows);
    const int64_t end = std::min(range.end * granule_rows, rows);
    PackJob job;
    job.node = node;
    job.type = tensor.type;
    job.format = format;
    job.source = At(source, begin * TensorRowBytes(tensor.type, cols));
    job.rows = end - begin;
    job.cols = cols;
    job.out =
        memory_[node].Take<std::byte>(PackedBytes(format, job.rows, cols));
    AddPackJobs(job);
    result.shards.push_back({begin, {format, job.rows, cols, job.out}});
  }
  return result;
}

ShardedMatrix WeightPlacer::Rows(const std::string& name) {
  const GgufTensor& tensor = Tensor(name);
  const PackedFormat format = PackedFormatFor(tensor.type);
  const int64_t cols = tensor.shape[0];
  Plan(name, Placement::kRows, (tensor.rows() + kPanelRows - 1) / kPanelRows,
       PanelBytes(format, cols), 1);
  return SplitRows(tensor, tensor.data, tensor.rows(), kPanelRows);
}

ShardedMatrix WeightPlacer::RowsByHead(const std::string& name, int64_t heads) {
  const GgufTensor& tensor = Tensor(name);
  const int64_t head_rows = tensor.rows() / heads;
  Plan(name, Placement::kHeads, heads,
       PackedBytes(PackedFormatFor(tensor.type), head_rows, tensor.shape[0]),
       1);
  return SplitRows(tensor, tensor.data, tensor.rows(), head_rows);
}

ShardedMatrix WeightPlacer::OnOneNode(const GgufTensor& tensor,
                                      const std::byte* source, int64_t rows,
                                      int home) {
  PackJob job;
  job.node = home;
  job.type = tensor.type;
  job.format = PackedFormatFor(tensor.type);
  job.source = source;
  job.rows = rows;
  job.cols = tensor.shape[0];
  job.out =
      memory_[home].Take<std::byte>(PackedBytes(job.format, rows, job.cols));
  AddPackJobs(job);
  ShardedMatrix result;
  result.rows = rows;
  result.cols = job.cols;
  for (int node = 0; node < nodes_; ++node) {
    result.shards.push_back({0,
                             {job.format, node == home ? rows : 0, job.cols,
                              node == home ? job.out : nullptr}});
  }
  return result;
}

std::vector<ShardedMatrix> WeightPlacer::Experts(const std::string& name,
                                                 MoePlacement placement) {
  const GgufTensor& tensor = Tensor(name);
  const int64_t cols = tensor.shape[0];
  const int64_t rows = tensor.shape[1];
  const int64_t experts = tensor.shape.size() > 2 ? tensor.shape[2] : 1;
  Plan(name, Placement::kRows, (rows + kPanelRows - 1) / kPanelRows,
       PanelBytes(PackedFormatFor(tensor.type), cols), experts);
  std::vector<ShardedMatrix> result;
  for (int64_t e = 0; e < experts; ++e) {
    const std::byte* source =
        At(tensor.data, e * rows * TensorRowBytes(tensor.type, cols));
    result.push_back(
        placement == MoePlacement::kWhole
            ? OnOneNode(tensor, source, rows, ExpertHome(e, nodes_))
            : SplitRows(tensor, source, rows, kPanelRows));
  }
  return result;
}

std::vector<std::vector<ExpertRoom>> WeightPlacer::RoomForExperts(
    const SwiGlu& expert, int64_t count) {
  std::vector<std::vector<ExpertRoom>> rooms(nodes_);
  for (int node = 0; node < nodes_; ++node) {
    const auto take = [&](const ShardedMatrix& like) {
      return memory_[node].Take<std::byte>(
          PackedBytes(like.shards[0].matrix.format, like.rows, like.cols));
    };
    for (int64_t i = 0; i < count; ++i) {
      ExpertRoom& room = rooms[node].emplace_back();
      room.gate = take(expert.gate);
      room.up = take(expert.up);
      room.down = take(expert.down);
    }
  }
  return rooms;
}

HeadMatrices WeightPlacer::PerHead(const std::string& name,
                                   const HeadRows& where) {
  const GgufTensor& tensor = Tensor(name);
  const int64_t tensor_cols = tensor.shape[0];
  PackJob job;
  job.kind = where.transpose ? PackJob::Kind::kPackTransposed
                             : PackJob::Kind::kPackRows;
  job.type = tensor.type;
  job.format = where.transpose ? TransposedFormat(tensor.type)
                               : PackedFormatFor(tensor.type);
  job.rows = where.transpose ? tensor_cols : where.rows;
  job.cols = where.transpose ? where.rows : tensor_cols;
  const int64_t bytes = PackedBytes(job.format, job.rows, job.cols);
  Plan(name, Placement::kHeads, where.heads, bytes, 1);
  HeadMatrices result;
  for (job.node = 0; job.node < nodes_; ++job.node) {
    const WorkRange range = SplitEvenly(where.heads, nodes_, job.node);
    for (int64_t h = range.begin; h < range.end; ++h) {
      job.source =
          At(tensor.data, (h * where.stride + where.first) *
                              TensorRowBytes(tensor.type, tensor_cols));
      job.out = memory_[job.node].Take<std::byte>(bytes);
      jobs_.push_back(job);
      result.push_back({job.format, job.rows, job.cols, job.out});
    }
  }
  return result;
}

std::vector<EmbeddingShard> WeightPlacer::Embedding(const std::string& name) {
  const GgufTensor& tensor = Tensor(name);
  const int64_t row_bytes = TensorRowBytes(tensor.type, tensor.shape[0]);
  Plan(name, Placement::kRows, tensor.rows(), row_bytes, 1);
  std::vector<EmbeddingShard> result;
  for (int node = 0; node < nodes_; ++node) {
    const WorkRange range = SplitEvenly(tensor.rows(), nodes_, node);
    std::byte* const out =
        memory_[node].Take<std::byte>(range.size() * row_bytes);
    const int64_t rows_per_job = std::max<int64_t>(1, kJobBytes / row_bytes);
    for (int64_t row = 0; row < range.size(); row += rows_per_job) {
      PackJob job;
      job.kind = PackJob::Kind::kCopyBytes;
      job.node = node;
      job.source = At(tensor.data, (range.begin + row) * row_bytes);
      job.rows = std::min(rows_per_job, range.size() - row);
      job.cols = row_bytes;
      job.out = out + row * row_bytes;
      jobs_.push_back(job);
    }
    result.push_back({range, out});
  }
  return result;
}

void WeightPlacer::Finish(WeightLayout& layout) {
  layout.jobs = std::move(jobs_);
  layout.planned = std::move(planned_);
  layout.node_bytes.clear();
  for (const BumpAllocator& memory : memory_) {
    layout.node_bytes.push_back(memory.used_bytes());
  }
}

}  // namespace mlad
