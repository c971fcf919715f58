// Absorbed attention on one core, over a cache that comes from memory.
#include <algorithm>
#include <random>
#include <vector>

#include "attention/absorbed.h"
#include "attention/merge.h"
#include "attention/rope.h"
#include "base/status.h"
#include "bench/measured_rates.h"
#include "bench/stopwatch.h"
#include "numa/topology.h"

namespace mlad {
namespace {

constexpr int64_t kRank = 512, kRope = 64, kRow = kRank + kRope;
constexpr int64_t kPositions = 96 * 1024;  // 54 MiB of Q8_KV
constexpr int64_t kFewHeads = 16, kManyHeads = 64;

std::vector<float> RandomFloats(int64_t count) {
  std::mt19937 random(1);
  std::vector<float> values(count);
  for (float& value : values) {
    value = static_cast<float>(random() >> 8) * 0x1p-23f - 1.0f;
  }
  return values;
}

/// One sequence in a cache of one layer and node.
class LongSequence {
 public:
  static absl::StatusOr<std::unique_ptr<LongSequence>> Create(
      const KernelTable& kernels, KvType type) {
    auto sequence = std::make_unique<LongSequence>(kernels);
    TopologyOptions options;
    options.nodes = 1;
    MLAD_ASSIGN_OR_RETURN(sequence->topology_, Topology::Create(options));
    const std::vector<int64_t> pages = {kPositions / kPagePositions};
    MLAD_ASSIGN_OR_RETURN(
        sequence->cache_,
        LatentCache::Create(*sequence->topology_, {type, 1, kRow}, pages));
    PageAllocator allocator(pages);
    sequence->pages_ = allocator.NewTable();
    MLAD_RETURN_IF_ERROR(allocator.Grow(sequence->pages_, kPositions));
    std::vector<float> row = RandomFloats(kRow);
    for (int64_t p = 0; p < kPositions; ++p) {
      std::rotate(row.begin(), row.begin() + 1, row.end());
      kernels.encode_latent(type, row.data(), kRow,
                            sequence->cache_->Row(sequence->pages_, p, 0));
    }
    return sequence;
  }
  explicit LongSequence(const KernelTable& kernels) : kernels_(kernels) {}

  /// Seconds for one query token of `heads` heads over all positions.
  double Attend(int64_t heads) const {
    const std::vector<float> q = RandomFloats(heads * kRow);
    std::vector<float> out(kLanes * heads * kRank), lse(kLanes * heads);
    const PartialView::OfNode home = {out.data(), lse.data()};
    const RowGroup group = {&pages_, kPositions - 1, 0, 1, 0};
    Traffic traffic;
    AbsorbedPass pass;
    pass.kernels = &kernels_;
    pass.cache = cache_.get();
    pass.shape = Shape(heads);
    pass.groups = absl::MakeConstSpan(&group, 1);
    pass.q = q.data();
    pass.partials = {absl::MakeConstSpan(&home, 1), heads, kRank};
    // Aligned as the step's buffers are.
    std::vector<float> scratch(AbsorbedScratchFloats(pass.shape) + 16);
    const auto at = reinterpret_cast<uintptr_t>(scratch.data());
    pass.scratch = scratch.data() + (64 - at % 64) % 64 / sizeof(float);
    pass.traffic = &traffic;
    return BestSeconds([&] { RunAbsorbed(pass, WorkerContext{}); });
  }

 private:
  static AbsorbedShape Shape(int64_t heads) {
    AbsorbedShape shape;
    shape.heads = heads;
    shape.kv_lora_rank = kRank;
    shape.rope_dim = kRope;
    shape.softmax_scale = 0.01f;
    return shape;
  }

  const KernelTable& kernels_;
  std::unique_ptr<Topology> topology_;
  std::unique_ptr<LatentCache> cache_;
  PageTable pages_;
};

}  // namespace

// As attention/absorbed.cc: tests/bench/decode_work_test.cc sees if it changes.
int64_t AttentionHeadUnit(const KernelTable& kernels, KvType type) {
  constexpr int64_t kDecodedHeadUnit = 4;
  const bool codes =
      kernels.coded_attention != nullptr && type == KvType::kQ8KV;
  return codes ? kCodeQueries : kDecodedHeadUnit;
}

absl::Status MeasureAttention(const KernelTable& kernels, KvType type,
                              KernelRates& rates) {
  MLAD_ASSIGN_OR_RETURN(const auto sequence,
                        LongSequence::Create(kernels, type));
  rates.attention_head_unit = AttentionHeadUnit(kernels, type);
  // A walk over the positions costs something, and each head on it.
  const double few_s = sequence->Attend(kFewHeads);
  const double many_s = sequence->Attend(kManyHeads);
  const double head_s = (many_s - few_s) / (kManyHeads - kFewHeads);
  rates.absorb_s_per_head_position = std::max(head_s, 0.0) / kPositions;
  rates.walk_s_per_position =
      std::max(few_s - kFewHeads * head_s, 0.0) / kPositions;
  return absl::OkStatus();
}

}  // namespace mlad
