#include "model/loaded_model.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/status.h"
#include "model/footprint.h"
#include "model/pack_jobs.h"
#include "model/shapes.h"
#include "model/weight_checksum.h"

namespace mlad {
namespace {

/// Heads of a worker that walk the latents together: all of them where pages
/// are remote. On one node a head at a time is some 2% faster: its weights stay
/// in the L2 cache from tile to tile.
int64_t ExpandedHeads(const Hyperparameters& shape, const Topology& topology) {
  if (topology.node_count() == 1) return 1;
  size_t fewest_workers = topology.nodes()[0].cpus.size();
  for (const NodeDescription& node : topology.nodes()) {
    fewest_workers = std::min(fewest_workers, node.cpus.size());
  }
  const auto workers =
      topology.node_count() * static_cast<int64_t>(fewest_workers);
  return (shape.num_attention_heads + workers - 1) / workers;
}

StepLimits LimitsFor(const Hyperparameters& shape, const Topology& topology,
                     const LoadOptions& options) {
  StepLimits limits =
      MakeStepLimits(shape.num_attention_heads, shape.kv_lora_rank,
                     ExpandedHeads(shape, topology));
  if (options.chunk_tokens > 0) limits.chunk_tokens = options.chunk_tokens;
  return limits;
}

/// Counters, and replicas where the plan has room for them.
void PrepareExperts(const ExpertPlan& plan, StepState& state) {
  state.expert_counters = std::make_unique<ExpertCounters>(
      state.shape.num_hidden_layers, state.shape.n_routed_experts);
  if (plan.replicas == 0) return;
  std::vector<ReplicatedLayer> layers;
  for (size_t i = 0; i < state.weights.layers.size(); ++i) {
    FeedForwardWeights& ffn = state.weights.layers[i].ffn;
    if (!ffn.experts.empty()) {
      layers.push_back({static_cast<int64_t>(i), &ffn});
    }
  }
  state.expert_replicas = std::make_unique<ExpertReplicas>(
      std::move(layers), *state.expert_counters);
}

}  // namespace

absl::StatusOr<PlacementPlan> PlanModel(const GgufFile& file,
                                        const Hyperparameters& shape,
                                        const Topology& topology,
                                        const LoadOptions& options) {
  // What is planned of the weights does not depend on how experts are placed.
  const WeightLayout layout =
      LayOutWeights(file, shape, {}, topology.node_count(), {});
  MLAD_ASSIGN_OR_RETURN(
      const ModelFootprint footprint,
      MeasureFootprint(shape, layout, LimitsFor(shape, topology, options),
                       options.kv_type, options.experts, topology));
  return MakePlacementPlan(topology, footprint, options.cache_tokens);
}

WeightLayout LoadedModel::LayOut(const GgufFile& file) const {
  std::vector<std::byte*> bases;
  for (const NodeRegion& region : weights_) bases.push_back(region.data());
  return LayOutWeights(file, shape_, plan_.experts,
                       static_cast<int>(plan_.nodes.size()), bases);
}

absl::StatusOr<ModelWeights> LoadedModel::LoadWeights(
    const GgufFile& file, Executor& executor, const LoadOptions& options) {
  WeightLayout layout = LayOut(file);
  if (!is_warm_) {
    MLAD_RETURN_IF_ERROR(RunPackJobs(
        layout.jobs, executor,
        {&file, options.drop_page_cache, options.progress, options.cancel}));
    if (options.keep_memory) {
      checksums_ = ChecksumWeights(layout.jobs, executor);
    }
  }
  return std::move(layout.weights);
}

absl::Status LoadedModel::LayOutBuffers(const Topology& topology,
                                        const Executor& executor,
                                        StepState& state) {
  const StepLimits& limits = state.plan.limits();
  const int nodes = topology.node_count();
  const MoePlacement experts = plan_.experts.placement;
  const StepBufferSizes sizes =
      MeasureStepBuffers(shape_, limits, experts, nodes);
  MLAD_ASSIGN_OR_RETURN(
      NodeRegion shared,
      NodeRegion::Allocate(topology, 0, sizes.shared_bytes, "step buffers"));
  BumpAllocator shared_memory(shared.data());
  state.shared = LayOutShared(shape_, limits, experts, shared_memory);
  regions_.push_back(std::move(shared));

  int all_workers = 0;
  for (int node = 0; node < nodes; ++node) {
    all_workers += executor.workers(node);
  }
  traffic_.resize(all_workers);
  if (shape_.n_routed_experts > 0) {
    dispatches_.assign(
        all_workers, ExpertDispatch(shape_.n_routed_experts,
                                    shape_.num_experts_per_tok, limits.tokens));
  }
  for (int node = 0; node < nodes; ++node) {
    const int workers = executor.workers(node);
    MLAD_ASSIGN_OR_RETURN(
        NodeRegion region,
        NodeRegion::Allocate(topology, node,
                             sizes.node_bytes + workers * sizes.worker_bytes,
                             "step buffers"));
    BumpAllocator memory(region.data());
    const WorkRange heads =
        SplitEvenly(shape_.num_attention_heads, nodes, node);
    state.heads.push_back(heads);
    state.nodes.push_back(
        LayOutNode(shape_, limits, {nodes, heads.size(), experts}, memory));
    state.expert_out.push_back(state.nodes.back().expert_out);
    state.partials.push_back(state.nodes.back().partials);
    for (int w = 0; w < workers; ++w) {
      WorkerBuffers own = LayOutWorker(shape_, limits, memory);
      const size_t index = state.workers.size();
      own.traffic = &traffic_[index];
      own.dispatch = dispatches_.empty() ? nullptr : &dispatches_[index];
      state.workers.push_back(own);
    }
    MLAD_CHECK(memory.used_bytes() <= region.bytes());
    regions_.push_back(std::move(region));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<LoadedModel>> LoadedModel::Load(
    const GgufFile& file, const Topology& topology, Executor& executor,
    const LoadOptions& options) {
  std::unique_ptr<LoadedModel> model(new LoadedModel);
  MLAD_ASSIGN_OR_RETURN(model->shape_, ReadHyperparameters(file));
  const Hyperparameters& shape = model->shape_;
  MLAD_ASSIGN_OR_RETURN(model->plan_,
                        PlanModel(file, shape, topology, options));
  if (!options.kept.empty()) {
    const absl::Status status =
        model->TakeKept(file, topology, executor, options);
    if (!status.ok()) {
      DiscardKept(options.kept);
      if (options.kept_is_useless) options.kept_is_useless(status);
      model->weights_.clear();
      model->cache_.reset();
    }
  }
  if (!model->is_warm_) {
    MLAD_RETURN_IF_ERROR(
        model->TakeMemory(topology, model->LayOut(file).node_bytes, options));
  }
  std::vector<int64_t> pages;
  for (const NodePlan& node : model->plan_.nodes) {
    pages.push_back(node.kv_pages);
  }
  model->pages_ = std::make_unique<PageAllocator>(pages);

  auto state = std::make_unique<StepState>(MakeRopeConfig(shape),
                                           LimitsFor(shape, topology, options));
  state->kernels = options.kernels;
  state->shape = shape;
  state->cache = model->cache_.get();
  state->absorbed_shape = MakeAbsorbedShape(shape);
  state->expanded_shape = MakeExpandedShape(shape);
  state->router_shape = MakeRouterShape(shape);
  MLAD_RETURN_IF_ERROR(model->LayOutBuffers(topology, executor, *state));
  MLAD_ASSIGN_OR_RETURN(state->weights,
                        model->LoadWeights(file, executor, options));
  PrepareExperts(model->plan_.experts, *state);
  for (const NodeRegion* region : model->regions()) {
    // What is kept has all its pages: none is missing later.
    if (model->is_warm_ && region->descriptor() >= 0) continue;
    MLAD_RETURN_IF_ERROR(region->Populate(topology));
  }
  model->transformer_ =
      std::make_unique<Transformer>(executor, std::move(state));
  return model;
}

std::vector<const NodeRegion*> LoadedModel::regions() const {
  std::vector<const NodeRegion*> result;
  for (const NodeRegion& region : weights_) result.push_back(&region);
  for (const NodeRegion& region : regions_) result.push_back(&region);
  for (const NodeRegion& region : cache_->regions()) result.push_back(&region);
  for (const NodeRegion& region : cache_->notes()) result.push_back(&region);
  return result;
}

absl::StatusOr<PlacementReport> LoadedModel::CorrectPlacement(
    const Topology& topology, int node) const {
  PlacementReport sum;
  for (const NodeRegion* region : regions()) {
    if (region->node() != node) continue;
    MLAD_ASSIGN_OR_RETURN(PlacementReport report,
                          region->CheckPlacement(topology));
    if (report.pages_misplaced > 0) {
      MLAD_ASSIGN_OR_RETURN(report, region->CorrectMisplacedPages(topology));
    }
    sum += report;
  }
  return sum;
}

}  // namespace mlad
