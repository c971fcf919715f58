// The model that a daemon serves, with everything it runs on.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "base/clock.h"
#include "daemon/model_source.h"
#include "daemon/options.h"
#include "daemon/service_manager.h"
#include "engine/engine.h"
#include "kernels/kernels.h"
#include "model/loaded_model.h"
#include "numa/executor.h"
#include "numa/node_memory.h"
#include "numa/topology.h"
#include "rpc/served_model.h"

namespace mlad {

class DaemonModel final : public ServedModel {
 public:
  struct Options {
    ServeOptions serve;
    const KernelTable* kernels = nullptr;
    std::function<void(double)> progress;       // as LoadOptions::progress
    const std::atomic<bool>* cancel = nullptr;  // stops loading when true
    /// Where the memory of an earlier process is found and this one's stored;
    /// null: nowhere.
    const ServiceManager* manager = nullptr;
    /// Told what came of the memory that was stored.
    std::function<void(const absl::Status&)> on_stored_memory;
  };

  /// Errors: those of Topology::Create, Executor::Create, Tokenizer::Create,
  /// LoadedModel::Load and Engine::Create; kInvalidArgument for a cache that
  /// is too small for the context; kCancelled.
  static absl::StatusOr<std::unique_ptr<DaemonModel>> Load(
      const ModelSource& source, const Options& options);

  Engine& engine() override { return *engine_; }
  const Tokenizer& tokenizer() const override { return *tokenizer_; }
  std::optional<ChatStyle> chat_style() const override { return chat_style_; }
  const ModelFacts& facts() const override { return facts_; }
  const PlacementPlan& plan() const override { return loaded_->plan(); }
  std::vector<NodeCounters> node_counters() const override;
  std::vector<ExpertLayerCounters> expert_counters() const override;
  SessionStore* sessions() const override { return sessions_.get(); }
  std::string_view isa() const override { return IsaName(kernels_->isa); }

  const Topology& topology() const { return *topology_; }
  /// True when the weights are those of an earlier process.
  bool is_warm() const { return loaded_->is_warm(); }
  /// Of all nodes, as found after loading.
  PlacementReport placement() const;
  std::vector<const NodeRegion*> memory() const { return loaded_->regions(); }

 private:
  DaemonModel() = default;
  void FillFacts(const ModelSource& source, const ContextSizes& sizes,
                 KvType kv_type);
  absl::Status CheckPlacement();
  absl::Status OpenSessions(const GgufFile& file, const std::string& folder);

  const KernelTable* kernels_ = nullptr;
  RealClock clock_;
  std::unique_ptr<Topology> topology_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<ChatStyle> chat_style_;
  std::unique_ptr<LoadedModel> loaded_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<SessionStore> sessions_;  // null: none are kept
  ModelFacts facts_;
  std::vector<PlacementReport> placement_;  // [nodes], as found after loading
};

}  // namespace mlad
