// A model in memory, ready to run: weights on their home nodes, latent cache,
// step buffers and the forward pass over them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "attention/latent_cache.h"
#include "kernels/kernels.h"
#include "model/gguf_file.h"
#include "model/hyperparameters.h"
#include "model/step_plan.h"
#include "model/transformer.h"
#include "model/weights.h"
#include "moe/dispatch.h"
#include "numa/executor.h"
#include "numa/node_memory.h"
#include "numa/placement_plan.h"
#include "numa/topology.h"
#include "numa/traffic.h"
#include "quant/kv_type.h"

namespace mlad {

/// Memory that an earlier process has left, or that this one leaves.
struct KeptRegion {
  int descriptor = -1;  // of NodeRegion's Backing::kFile
  int64_t bytes = 0;
  uint64_t checksum = 0;  // of weights; 0: none
};
/// By "weights/NODE", "cache/NODE", "notes/NODE".
using KeptRegions = std::map<std::string, KeptRegion>;

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
  /// Weights and cache live in files in memory, see LoadedModel::kept().
  bool keep_memory = false;
  /// What an earlier process with the same model, plan and program has left;
  /// needs keep_memory. Its descriptors belong to Load. If all is there and the
  /// weights have their checksums, the file is not read; if not, the memory
  /// behind it is given back and everything loaded afresh.
  KeptRegions kept;
  /// Told why, in that case; may be empty.
  std::function<void(const absl::Status&)> kept_is_useless;
};

/// Gives the memory behind kept regions back to the system, whoever else has
/// descriptors of it, and closes these.
void DiscardKept(const KeptRegions& kept);

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

  /// True when the weights are those of LoadOptions::kept.
  bool is_warm() const { return is_warm_; }
  /// With keep_memory, what makes the next Load a warm one: its descriptors
  /// stay this model's.
  KeptRegions kept() const;

  /// Weights, buffers and cache.
  std::vector<const NodeRegion*> regions() const;
  /// Asks the kernel where this node's memory is and moves home what it holds
  /// elsewhere; what is misplaced now is in the report.
  /// Errors: those of NodeRegion::CheckPlacement and CorrectMisplacedPages.
  absl::StatusOr<PlacementReport> CorrectPlacement(const Topology& topology,
                                                   int node) const;

 private:
  LoadedModel() = default;
  absl::Status TakeMemory(const Topology& topology,
                          absl::Span<const int64_t> weight_bytes,
                          const LoadOptions& options);
  /// TakeMemory from what is kept, with the checksums verified.
  absl::Status TakeKept(const GgufFile& file, const Topology& topology,
                        Executor& executor, const LoadOptions& options);
  absl::StatusOr<ModelWeights> LoadWeights(const GgufFile& file,
                                           Executor& executor,
                                           const LoadOptions& options);
  WeightLayout LayOut(const GgufFile& file) const;
  absl::Status LayOutBuffers(const Topology& topology, const Executor& executor,
                             StepState& state);

  Hyperparameters shape_;
  PlacementPlan plan_;
  std::vector<NodeRegion> weights_;  // [nodes]
  std::vector<uint64_t> checksums_;  // [nodes] of weights, if kept
  bool is_warm_ = false;
  std::vector<NodeRegion> regions_;         // buffers
  std::vector<ExpertDispatch> dispatches_;  // [global workers]
  std::vector<Traffic> traffic_;            // [global workers]
  std::unique_ptr<LatentCache> cache_;
  std::unique_ptr<PageAllocator> pages_;
  std::unique_ptr<Transformer> transformer_;
};

}  // namespace mlad
