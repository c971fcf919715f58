// Places single tensors on the nodes; LayOutWeights walks the model with it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/gguf_file.h"
#include "model/weights.h"

namespace mlad {

/// Which rows of a tensor make up head h's matrix: `rows` of them, from
/// h * stride + first on. `transpose` stores [cols, rows] instead of
/// [rows, cols], as floats: block formats cannot be transposed without loss.
struct HeadRows {
  int64_t heads = 0;
  int64_t stride = 0;
  int64_t first = 0;
  int64_t rows = 0;
  bool transpose = false;
};

class WeightPlacer {
 public:
  WeightPlacer(const GgufFile& file, int nodes,
               absl::Span<std::byte* const> bases);

  int nodes() const { return nodes_; }
  bool Has(const std::string& name) const {
    return file_.FindTensor(name) != nullptr;
  }
  /// A copy of the f32 values on every node.
  ReplicatedVector Vector(const std::string& name);
  /// Output rows split by panels.
  ShardedMatrix Rows(const std::string& name);
  /// Output rows split so that every head's rows stay together.
  ShardedMatrix RowsByHead(const std::string& name, int64_t heads);
  /// The experts of a [cols, rows, experts] tensor, each split by panels, or
  /// whole on its ExpertHome.
  std::vector<ShardedMatrix> Experts(const std::string& name,
                                     MoePlacement placement);
  /// Memory on every node for `count` more experts like this one.
  std::vector<std::vector<ExpertRoom>> RoomForExperts(const SwiGlu& expert,
                                                      int64_t count);
  /// One matrix per head, see HeadRows.
  HeadMatrices PerHead(const std::string& name, const HeadRows& where);
  std::vector<EmbeddingShard> Embedding(const std::string& name);

  /// Moves jobs, planned weights and sizes into `layout`.
  void Finish(WeightLayout& layout);

 private:
  const GgufTensor& Tensor(const std::string& name) const;
  ShardedMatrix SplitRows(const GgufTensor& tensor, const std::byte* source,
                          int64_t rows, int64_t granule_rows);
  ShardedMatrix OnOneNode(const GgufTensor& tensor, const std::byte* source,
                          int64_t rows, int home);
  void Plan(const std::string& name, Placement placement, int64_t granules,
            int64_t granule_bytes, int64_t copies);
  void AddPackJobs(const PackJob& whole);

  const GgufFile& file_;
  int nodes_;
  std::vector<BumpAllocator> memory_;  // [nodes]
  std::vector<PackJob> jobs_;
  std::vector<PlannedWeight> planned_;
};

}  // namespace mlad
