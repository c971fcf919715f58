// Sequences of random latents in a cache, and attention over them as it is
// defined, in double precision.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "attention/absorbed.h"
#include "attention/expanded.h"
#include "attention/latent_cache.h"
#include "kernels/kernels.h"
#include "numa/executor.h"

namespace mlad {

/// Small and awkward: heads that do not fill the units in which workers share
/// them, sizes that are not multiples of a vector.
inline constexpr int64_t kHeads = 7;
inline constexpr int64_t kNope = 20;
inline constexpr int64_t kRope = 16;
inline constexpr int64_t kValue = 28;
inline constexpr int64_t kRank = 48;
inline constexpr int64_t kRow = kRank + kRope;
inline constexpr float kScale = 0.75f;

AbsorbedShape TestAbsorbedShape();
ExpandedShape TestExpandedShape();

/// Floats on a 64-byte boundary with nothing behind them, all NaN.
class AlignedFloats {
 public:
  explicit AlignedFloats(int64_t count);
  float* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(float* data) const;
  };
  std::unique_ptr<float, Free> data_;
};

std::vector<float> RandomFloats(int64_t count, float peak, uint32_t seed);

/// A cache of two layers over `nodes` simulated nodes; layer 1 is the one that
/// counts, layer 0 holds something else.
class CachedSequences {
 public:
  static constexpr int64_t kLayer = 1;

  CachedSequences(const KernelTable& kernels, KvType type, int nodes);

  /// Appends a sequence whose latents depend on the seed alone.
  void Add(int64_t positions, uint32_t seed);

  const KernelTable& kernels() const { return *kernels_; }
  const LatentCache& cache() const { return *cache_; }
  int nodes() const { return nodes_; }
  const PageTable& pages(int sequence) const { return tables_[sequence]; }
  /// What the cache gives back: [positions, kRow].
  std::vector<float> Latents(int sequence, int64_t positions) const;

 private:
  const KernelTable* kernels_;
  int nodes_;
  std::unique_ptr<Topology> topology_;
  std::unique_ptr<LatentCache> cache_;
  std::unique_ptr<PageAllocator> allocator_;
  std::vector<PageTable> tables_;
};

/// One head's matrices, as ExpandedHead wants them.
struct HeadWeights {
  std::vector<float> w_uk;  // [kRank, kNope]
  std::vector<float> w_uv;  // [kRank, kValue]
};
HeadWeights RandomHead(uint32_t seed);

/// W_uk^T q_nope and q_pe: [kRow], from q [kNope + kRope].
std::vector<float> AbsorbQuery(const HeadWeights& head, const float* q);

/// Attention of one query row and head.
struct ExactAttention {
  std::vector<double> out;    // [kValue]
  double absorbed_bound = 0;  // of what either form may be off by
  double expanded_bound = 0;
  // On the codes of Q8_KV rows:
  double coded_absorbed_bound = 0;
  double coded_expanded_bound = 0;
};

/// Keys and values of one head over a sequence: attention as it is defined.
class ExactHead {
 public:
  ExactHead(HeadWeights head, std::vector<float> latents);

  /// q [kNope + kRope], over the first `positions` latents.
  ExactAttention Attend(const float* q, int64_t positions) const;

 private:
  struct CodedErrors;  // of keys, values and their scales, by position
  CodedErrors ErrorsOfCodes(int64_t positions) const;
  double CodedAbsorbedError(const std::vector<float>& absorbed,
                            const std::vector<double>& weights,
                            double value_size) const;
  double CodedExpandedError(const float* q,
                            const std::vector<double>& weights) const;

  HeadWeights head_;
  std::vector<float> latents_;     // [positions, kRow]
  std::vector<double> keys_;       // [positions, kNope + kRope]
  std::vector<double> key_sizes_;  // the same of magnitudes
  std::vector<double> values_;     // [positions, kValue]
  std::vector<double> value_sizes_;
};

}  // namespace mlad
