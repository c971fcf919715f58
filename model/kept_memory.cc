// Loading into memory that outlives the process, and out of it.
#include <algorithm>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "model/loaded_model.h"
#include "model/weight_checksum.h"

namespace mlad {
namespace {

std::string KeptName(absl::string_view kind, int node) {
  return absl::StrCat(kind, "/", node);
}

std::vector<int64_t> PagesPerNode(const PlacementPlan& plan) {
  std::vector<int64_t> pages;
  for (const NodePlan& node : plan.nodes) pages.push_back(node.kv_pages);
  return pages;
}

}  // namespace

void DiscardKept(const KeptRegions& kept) {
  for (const auto& [name, region] : kept) {
    struct stat file {};
    if (fstat(region.descriptor, &file) != 0) continue;  // closed already
    // Closing would not do: the service manager has a descriptor, too.
    fallocate(region.descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
              file.st_size);
    close(region.descriptor);
  }
}

absl::Status LoadedModel::TakeMemory(const Topology& topology,
                                     absl::Span<const int64_t> weight_bytes,
                                     const LoadOptions& options) {
  const auto make = [&](int node, int64_t bytes, std::string_view purpose) {
    return NodeRegion::Allocate(topology, node, bytes, purpose,
                                options.keep_memory
                                    ? NodeRegion::Backing::kFile
                                    : NodeRegion::Backing::kAnonymous);
  };
  for (int node = 0; node < topology.node_count(); ++node) {
    MLAD_ASSIGN_OR_RETURN(weights_.emplace_back(),
                          make(node, weight_bytes[node], "weights"));
  }
  MLAD_ASSIGN_OR_RETURN(
      cache_,
      LatentCache::Create(topology,
                          {options.kv_type, shape_.num_hidden_layers,
                           shape_.latent_row_elements()},
                          PagesPerNode(plan_), make, options.keep_memory));
  return absl::OkStatus();
}

absl::Status LoadedModel::TakeKept(const GgufFile& file,
                                   const Topology& topology, Executor& executor,
                                   const LoadOptions& options) {
  const auto attach =
      [&](absl::string_view kind, int node, int64_t bytes,
          std::string_view purpose) -> absl::StatusOr<NodeRegion> {
    const auto found = options.kept.find(KeptName(kind, node));
    if (found == options.kept.end() || found->second.bytes != bytes) {
      return absl::DataLossError(
          absl::StrCat("there is no kept memory of ", bytes, " bytes for ",
                       absl::string_view(purpose.data(), purpose.size()),
                       " on node ", node));
    }
    const int own = fcntl(found->second.descriptor, F_DUPFD_CLOEXEC, 0);
    return NodeRegion::Attach(topology, node, bytes, purpose, own);
  };
  const std::vector<int64_t> weight_bytes = LayOut(file).node_bytes;
  for (int node = 0; node < topology.node_count(); ++node) {
    MLAD_ASSIGN_OR_RETURN(
        weights_.emplace_back(),
        attach("weights", node, weight_bytes[node], "weights"));
  }
  MLAD_ASSIGN_OR_RETURN(
      cache_, LatentCache::Create(
                  topology,
                  {options.kv_type, shape_.num_hidden_layers,
                   shape_.latent_row_elements()},
                  PagesPerNode(plan_),
                  [&](int node, int64_t bytes, std::string_view purpose) {
                    return attach(purpose == "KV cache" ? "cache" : "notes",
                                  node, bytes, purpose);
                  },
                  /*with_notes=*/true));
  checksums_ = ChecksumWeights(LayOut(file).jobs, executor);
  for (int node = 0; node < topology.node_count(); ++node) {
    if (checksums_[node] !=
        options.kept.at(KeptName("weights", node)).checksum) {
      return absl::DataLossError(absl::StrCat(
          "the checksum of the kept weights of node ", node, " is wrong"));
    }
  }
  for (const auto& [name, region] : options.kept) close(region.descriptor);
  is_warm_ = true;
  if (options.progress) options.progress(1);
  return absl::OkStatus();
}

KeptRegions LoadedModel::kept() const {
  KeptRegions result;
  const auto add = [&](absl::string_view kind, const NodeRegion& region) {
    if (region.descriptor() < 0) return;
    KeptRegion& kept = result[KeptName(kind, region.node())];
    kept.descriptor = region.descriptor();
    kept.bytes = region.bytes();
  };
  for (const NodeRegion& region : weights_) {
    add("weights", region);
    const auto found = result.find(KeptName("weights", region.node()));
    if (found != result.end()) {
      found->second.checksum = checksums_[region.node()];
    }
  }
  for (const NodeRegion& region : cache_->regions()) add("cache", region);
  for (const NodeRegion& region : cache_->notes()) add("notes", region);
  return result;
}

}  // namespace mlad
