// A model in memory, ready to run: weights on their home nodes, latent cache,
// step buffers and the forward pass over them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"

#include "attention/latent_cache.h"
#include "kernels/kernels.h"
#include "model/gguf_file.h"
#include "model/hyperparameters.h"
#include "model/step_plan.h"
#include "model/transformer.h"
#include "moe/dispatch.h"
#include "numa/executor.h"
#include "numa/node_memory.h"
#include "numa/placement_plan.h"
#include "numa/topology.h"
#include "numa/traffic.h"
#include "quant/kv_type.h"

namespace mlad {

struct LoadOptions {
  const KernelTable* kernels = nullptr;
  KvType kv_type = KvType::kF16;
  ExpertPlan experts;        // as wished: the plan resolves it
  int64_t cache_tokens = 0;  // over all sequences
  int64_t chunk_tokens = 0;  // rows of an expanded span; 0: chosen
  /// Leaves no pages of the file in the page cache: they would crowd out, or be
  /// laid beside, the memory that the plan counts on.
  bool drop_page_cache = false;
  /// Called from loading threads, one at a time, with 0 to 1.
  std::function<void(double)> progress;
  /// Loading stops soon after it turns true; may be null.
  const std::atomic<bool>* cancel = nullptr;
};

/// The plan that loading follows, made from the file's header alone. Of the
/// options, those about cache and limits count.
/// Errors: those of MeasureFootprint and MakePlacementPlan.
absl::StatusOr<PlacementPlan> PlanModel(const GgufFile& file,
                                        const Hyperparameters& shape,
                                        const Topology& topology,
                                        const LoadOptions& options);

class LoadedModel {
 public:
  /// Packs every tensor of `file` into its home node's memory; the file is not
  /// needed afterwards. `topology` and `executor` outlive the result; loading
  /// uses the executor.
  /// Errors: those of PlanModel, NodeRegion::Allocate and Populate,
  /// LatentCache::Create; kDataLoss when the file shrinks meanwhile;
  /// kCancelled.
  static absl::StatusOr<std::unique_ptr<LoadedModel>> Load(
      const GgufFile& file, const Topology& topology, Executor& executor,
      const LoadOptions& options);

  const Hyperparameters& shape() const { return shape_; }
  const PlacementPlan& plan() const { return plan_; }
  const LatentCache& cache() const { return *cache_; }
  PageAllocator& pages() { return *pages_; }
  Transformer& transformer() { return *transformer_; }
  const Transformer& transformer() const { return *transformer_; }

  /// Weights, buffers and cache.
  std::vector<const NodeRegion*> regions() const;
  /// Asks the kernel where this node's memory is and moves home what it holds
  /// elsewhere; what is misplaced now is in the report.
  /// Errors: those of NodeRegion::CheckPlacement and CorrectMisplacedPages.
  absl::StatusOr<PlacementReport> CorrectPlacement(const Topology& topology,
                                                   int node) const;

 private:
  LoadedModel() = default;
  absl::StatusOr<ModelWeights> LoadWeights(const GgufFile& file,
                                           const Topology& topology,
                                           Executor& executor,
                                           const LoadOptions& options);
  absl::Status LayOutBuffers(const Topology& topology, const Executor& executor,
                             StepState& state);

  Hyperparameters shape_;
  PlacementPlan plan_;
  std::vector<NodeRegion> regions_;         // weights and buffers
  std::vector<ExpertDispatch> dispatches_;  // [global workers]
  std::vector<Traffic> traffic_;            // [global workers]
  std::unique_ptr<LatentCache> cache_;
  std::unique_ptr<PageAllocator> pages_;
  std::unique_ptr<Transformer> transformer_;
};

}  // namespace mlad
