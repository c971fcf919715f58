#include "daemon/daemon_model.h"

#include <cerrno>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

#include "base/status.h"
#include "daemon/kept_model.h"
#include "model/chat_template.h"
#include "model/weights_print.h"

namespace mlad {
namespace {

/// Type of most of the file's bytes.
std::string DominantType(const GgufFile& file) {
  std::map<TensorType, int64_t> bytes;
  for (const auto& [name, tensor] : file.tensors()) {
    bytes[tensor.type] += tensor.bytes;
  }
  TensorType best = TensorType::kF32;
  for (const auto& [type, count] : bytes) {
    if (count > bytes[best]) best = type;
  }
  return std::string(GetTensorType(best).name);
}

int64_t TensorBytes(const GgufFile& file) {
  int64_t bytes = 0;
  for (const auto& [name, tensor] : file.tensors()) bytes += tensor.bytes;
  return bytes;
}

std::optional<ChatStyle> FindChatStyle(const GgufFile& file,
                                       const Tokenizer& tokenizer) {
  const auto text = file.GetString("tokenizer.chat_template");
  const auto style = DetectChatStyle(text.ok() ? *text : "", tokenizer);
  if (!style.ok()) return std::nullopt;
  return *style;
}

}  // namespace

void DaemonModel::FillFacts(const ModelSource& source,
                            const ContextSizes& sizes, KvType kv_type) {
  const Hyperparameters& shape = source.shape;
  facts_.name = shape.name;
  facts_.path = source.path;
  facts_.file_type = DominantType(*source.file);
  facts_.file_bytes = TensorBytes(*source.file);
  facts_.kv_type = KvTypeName(kv_type);
  facts_.context_tokens = sizes.context_tokens;
  facts_.trained_context_tokens = shape.max_position_embeddings;
  facts_.hidden_size = shape.hidden_size;
  facts_.layers = shape.num_hidden_layers;
  facts_.attention_heads = shape.num_attention_heads;
  facts_.q_lora_rank = shape.q_lora_rank;
  facts_.kv_lora_rank = shape.kv_lora_rank;
  facts_.routed_experts = shape.n_routed_experts;
  facts_.experts_per_token = shape.num_experts_per_tok;
  facts_.shared_experts = shape.n_shared_experts;
  facts_.kv_bytes_per_token =
      loaded_->cache().row_bytes() * shape.num_hidden_layers;
}

absl::Status DaemonModel::CheckPlacement() {
  for (int node = 0; node < topology_->node_count(); ++node) {
    MLAD_ASSIGN_OR_RETURN(placement_.emplace_back(),
                          loaded_->CorrectPlacement(*topology_, node));
  }
  return absl::OkStatus();
}

absl::Status DaemonModel::OpenSessions(const GgufFile& file,
                                       const std::string& folder) {
  if (folder.empty()) return absl::OkStatus();
  // Its parent is the administrator's to make.
  if ((mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) ||
      access(folder.c_str(), R_OK | W_OK | X_OK) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("sessions cannot be kept in ", folder, ": ",
                     std::strerror(errno), "; make it, or change its owner"));
  }
  SessionOrigin origin;
  MLAD_ASSIGN_OR_RETURN(origin.model, PrintWeights(file));
  origin.kv_type = KvTypeName(loaded_->cache().shape().type);
  // AMX gives the bits of AVX-512.
  origin.kernels =
      IsaName(kernels_->isa == Isa::kAmx ? Isa::kAvx512 : kernels_->isa);
  SessionStore::Parts parts;
  parts.engine = engine_.get();
  parts.cache = &loaded_->cache();
  parts.prompt_chunk_tokens = loaded_->transformer().prompt_chunk_tokens();
  parts.now_s = [] { return absl::ToUnixSeconds(absl::Now()); };
  sessions_ = std::make_unique<SessionStore>(folder, std::move(origin),
                                             std::move(parts));
  return absl::OkStatus();
}

PlacementReport DaemonModel::placement() const {
  PlacementReport sum;
  for (const PlacementReport& node : placement_) sum += node;
  return sum;
}

absl::StatusOr<std::unique_ptr<DaemonModel>> DaemonModel::Load(
    const ModelSource& source, const Options& options) {
  const ModelOptions& wanted = options.serve.model;
  std::unique_ptr<DaemonModel> model(new DaemonModel);
  model->kernels_ = options.kernels;
  MLAD_ASSIGN_OR_RETURN(const KvType kv_type, ParseKvType(wanted.kv));
  MLAD_ASSIGN_OR_RETURN(model->topology_,
                        Topology::Create(MakeTopologyOptions(wanted)));
  MLAD_ASSIGN_OR_RETURN(model->tokenizer_, Tokenizer::Create(*source.file));
  model->chat_style_ = FindChatStyle(*source.file, *model->tokenizer_);

  const ContextSizes sizes =
      ChooseContext(wanted, source.shape.max_position_embeddings);
  LoadOptions load;
  load.kernels = options.kernels;
  load.kv_type = kv_type;
  MLAD_ASSIGN_OR_RETURN(load.experts, MakeExpertPlan(wanted));
  load.cache_tokens = sizes.cache_tokens;
  load.drop_page_cache = true;
  load.progress = options.progress;
  load.cancel = options.cancel;
  // A refusal to plan costs no threads.
  MLAD_ASSIGN_OR_RETURN(
      const ModelIdentity identity,
      IdentifyModel(*source.file, source.shape, *model->topology_, load));
  load.keep_memory = options.manager != nullptr;
  load.kept_is_useless = options.on_stored_memory;
  if (load.keep_memory) {
    absl::StatusOr<KeptRegions> stored = TakeStored(*options.manager, identity);
    if (stored.ok()) {
      load.kept = *std::move(stored);
    } else if (!absl::IsNotFound(stored.status())) {
      options.on_stored_memory(stored.status());
    }
  }
  MLAD_ASSIGN_OR_RETURN(model->executor_, Executor::Create(*model->topology_));
  MLAD_ASSIGN_OR_RETURN(model->loaded_,
                        LoadedModel::Load(*source.file, *model->topology_,
                                          *model->executor_, load));
  if (load.keep_memory && !model->is_warm()) {
    const absl::Status status =
        StoreForNext(*options.manager, identity, model->loaded_->kept());
    if (!status.ok()) options.on_stored_memory(status);
  }
  MLAD_RETURN_IF_ERROR(model->CheckPlacement());
  model->FillFacts(source, sizes, kv_type);

  EngineOptions engine;
  engine.context_tokens = sizes.context_tokens;
  engine.max_sequences = options.serve.max_sequences;
  engine.max_queued = options.serve.max_queued;
  engine.client_share = options.serve.client_share;
  if (options.serve.max_token_gap_ms > 0) {
    engine.max_token_gap = absl::Milliseconds(options.serve.max_token_gap_ms);
  }
  for (const NodeRegion& notes : model->loaded_->cache().notes()) {
    engine.page_notes.emplace_back(notes.data(), notes.bytes());
  }
  MLAD_ASSIGN_OR_RETURN(
      model->engine_,
      Engine::Create(model->loaded_->transformer(), *model->tokenizer_,
                     model->loaded_->pages(), model->clock_, engine));
  MLAD_RETURN_IF_ERROR(
      model->OpenSessions(*source.file, options.serve.session_dir));
  return model;
}

std::vector<NodeCounters> DaemonModel::node_counters() const {
  std::vector<NodeCounters> result;
  for (int node = 0; node < topology_->node_count(); ++node) {
    const Traffic traffic = loaded_->transformer().traffic(node);
    const NodeExecutionStats execution = executor_->stats(node);
    NodeCounters counters;
    counters.local_bytes = traffic.local_bytes;
    counters.remote_bytes = traffic.remote_bytes;
    counters.busy_ns = execution.busy_ns;
    counters.barrier_ns = execution.barrier_ns;
    counters.misplaced_pages = placement_[node].pages_misplaced;
    counters.kv_pages_used = loaded_->pages().used_pages(node);
    result.push_back(counters);
  }
  return result;
}

std::vector<ExpertLayerCounters> DaemonModel::expert_counters() const {
  const Hyperparameters& shape = loaded_->shape();
  const ExpertCounters& counters = loaded_->transformer().expert_counters();
  const ExpertReplicas* replicas = loaded_->transformer().expert_replicas();
  std::vector<ExpertLayerCounters> result;
  if (shape.n_routed_experts == 0) return result;
  for (int64_t i = shape.first_k_dense_replace; i < shape.num_hidden_layers;
       ++i) {
    ExpertLayerCounters& layer = result.emplace_back();
    layer.layer = i;
    for (int64_t e = 0; e < counters.experts(); ++e) {
      layer.tokens.push_back(counters.tokens(i, e));
    }
    if (replicas == nullptr) continue;
    for (int node = 0; node < topology_->node_count(); ++node) {
      layer.replicas.push_back(replicas->On(i, node));
    }
  }
  return result;
}

}  // namespace mlad
