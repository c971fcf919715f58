// The weights of a model in kernel form, split over the nodes.
#pragma once

#include <cstdint>
#include <vector>

#include "model/gguf_file.h"
#include "model/hyperparameters.h"
#include "moe/feed_forward.h"
#include "numa/bump_allocator.h"
#include "numa/placement_plan.h"
#include "numa/sharded_matrix.h"

namespace mlad {

/// A vector of floats with a copy on every node: copies[node] [n].
struct ReplicatedVector {
  std::vector<const float*> copies;
};

/// One matrix per attention head, on the node that owns the head.
using HeadMatrices = std::vector<PackedMatrix>;

struct AttentionWeights {
  ReplicatedVector norm;       // [hidden]
  ShardedMatrix q_a;           // [q_lora, hidden]; empty without q_lora
  ReplicatedVector q_a_norm;   // [q_lora]
  ShardedMatrix q;             // q_b [heads*(nope+rope), q_lora], or q
                               // [heads*(nope+rope), hidden]; by heads
  ShardedMatrix kv_a;          // [kv_lora + rope, hidden]
  ReplicatedVector kv_a_norm;  // [kv_lora]
  HeadMatrices k_b;            // W_uk^T: [kv_lora, nope] per head
  HeadMatrices v_b;            // W_uv:   [v, kv_lora] per head
  ShardedMatrix output;        // [hidden, heads * v]
};

struct LayerWeights {
  AttentionWeights attention;
  ReplicatedVector ffn_norm;     // [hidden]
  ShardedMatrix router;          // [experts, hidden]; empty in dense layers
  ReplicatedVector router_bias;  // [experts]; copies empty: none
  FeedForwardWeights ffn;
};

/// Rows of the embedding as the file has them, split over the nodes.
struct EmbeddingShard {
  WorkRange rows;
  const std::byte* data = nullptr;  // [rows] of TensorRowBytes(type, hidden)
};

struct ModelWeights {
  TensorType embedding_type = TensorType::kF32;
  std::vector<EmbeddingShard> embedding;
  std::vector<LayerWeights> layers;
  ReplicatedVector output_norm;  // [hidden]
  ShardedMatrix output;          // [vocab, hidden]
};

/// One piece of loading: reads file bytes, writes packed ones on `node`.
struct PackJob {
  enum class Kind : uint8_t {
    kPackRows,       // rows of `type` to packed panels
    kCopyBytes,      // as they are
    kToFloat,        // a vector of any type to f32
    kPackTransposed  // [cols, rows] of `type` to float panels [rows, cols]
  };
  Kind kind = Kind::kPackRows;
  int node = 0;
  TensorType type = TensorType::kF32;
  PackedFormat format = PackedFormat::kF32;
  const std::byte* source = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  std::byte* out = nullptr;
};

void RunPackJob(const PackJob& job);

/// Where everything goes: the structure with its pointers, the jobs that fill
/// it and what the plan has to know.
struct WeightLayout {
  ModelWeights weights;
  std::vector<PackJob> jobs;
  std::vector<PlannedWeight> planned;
  std::vector<int64_t> node_bytes;
};

/// Lays out the weights for `nodes` nodes. With empty `bases` it only measures;
/// else bases[n] has node_bytes[n] bytes on node n, 64-byte aligned.
/// `experts` has been resolved. The file has passed ReadHyperparameters.
WeightLayout LayOutWeights(const GgufFile& file, const Hyperparameters& shape,
                           const ExpertPlan& experts, int nodes,
                           absl::Span<std::byte* const> bases);

}  // namespace mlad
