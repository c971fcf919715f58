// A sequence of made-up tokens, and the ways its latents get into the cache.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/types/span.h"

#include "bench/bench_plan.h"
#include "kernels/kernels.h"
#include "model/loaded_model.h"
#include "numa/executor.h"

namespace mlad {

struct CachedSequence {
  PageTable pages;
  int64_t number = 0;        // its tokens differ from those of the others
  std::vector<int32_t> ids;  // of the step being prepared
};

/// Computes positions [begin, end), the earlier ones being in the cache, in
/// chunks as the engine does.
void ReadPrompt(LoadedModel& model, CachedSequence& sequence, int64_t begin,
                int64_t end);

/// One token for each sequence, all at `position`.
void GenerateStep(LoadedModel& model, absl::Span<CachedSequence> sequences,
                  int64_t position);

/// Brings sequences to growing depths.
class CacheFiller {
 public:
  using Progress = std::function<void(double)>;  // 0 to 1 of a depth

  CacheFiller(LoadedModel& model, Executor& executor,
              const KernelTable& kernels, CacheFill fill);

  /// Positions [0, depth) of all sequences are in the cache afterwards, equal
  /// for all of them but stored for each. What lies behind is lost. By kPrompt
  /// the first sequence reads what it had not read yet, and the others get
  /// copies; by kRandom rows drawn from a pool of kPoolRows are stored.
  void Fill(absl::Span<CachedSequence> sequences, int64_t depth,
            const Progress& progress);

  static constexpr int64_t kPoolRows = 1024;

 private:
  void Read(CachedSequence& sequence, int64_t depth, const Progress& progress);
  void Copy(const CachedSequence& from, const CachedSequence& to,
            int64_t depth);
  void StoreRandom(const CachedSequence& to, int64_t depth);
  void MakePool(const KernelTable& kernels);
  /// store(page of the table) for the pages of [0, depth), each on its node.
  void ForPages(const CachedSequence& sequence, int64_t depth,
                const std::function<void(int64_t)>& store);

  LoadedModel& model_;
  Executor& executor_;
  CacheFill fill_;
  int64_t depth_ = 0;            // what the first sequence has read
  std::vector<std::byte> pool_;  // [kPoolRows, row_bytes], kRandom only
};

}  // namespace mlad
