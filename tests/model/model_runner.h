// Runs a model file without an engine: prompts in chunks, one token at a time,
// several sequences in a step.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"

#include "kernels/kernels.h"
#include "model/loaded_model.h"
#include "numa/executor.h"
#include "numa/topology.h"
#include "quant/kv_type.h"

namespace mlad {

struct RunnerOptions {
  int nodes = 1;
  int threads_per_node = 0;
  KvType kv_type = KvType::kF16;
  ExpertPlan experts;
  const KernelTable* kernels = nullptr;  // null: what MLAD_ISA selects
  int64_t cache_tokens = 2048;
  int64_t chunk_tokens = 0;  // 0: as the model likes
};

class ModelRunner {
 public:
  /// Aborts when the model cannot be loaded.
  ModelRunner(const std::string& path, const RunnerOptions& options);

  struct Sequence {
    PageTable pages;
    int64_t tokens = 0;
  };
  Sequence NewSequence() { return {loaded_->pages().NewTable(), 0}; }
  void Release(Sequence& sequence) { loaded_->pages().Release(sequence.pages); }

  using Logits = std::vector<float>;

  /// Reads a prompt into an empty sequence: complete chunks expanded, the tail
  /// absorbed. Returns the last row's logits, or all rows'.
  Logits Read(Sequence& sequence, absl::Span<const int32_t> ids);
  std::vector<Logits> ReadAll(Sequence& sequence,
                              absl::Span<const int32_t> ids);
  /// Appends tokens in the absorbed form, in one span.
  Logits Append(Sequence& sequence, absl::Span<const int32_t> ids);
  /// One token to each sequence, in one step.
  std::vector<Logits> AppendEach(absl::Span<Sequence* const> sequences,
                                 absl::Span<const int32_t> ids);

  /// Logits after the prompt, in a sequence of its own.
  Logits LogitsAfter(absl::Span<const int32_t> prompt);
  /// `count` most probable tokens after the prompt, one after the other.
  std::vector<int32_t> Greedy(absl::Span<const int32_t> prompt, int count);

  LoadedModel& loaded() { return *loaded_; }
  const Topology& topology() const { return *topology_; }
  const KernelTable& kernels() const { return *kernels_; }

 private:
  void Grow(Sequence& sequence, int64_t tokens);
  std::vector<Logits> Run(Sequence& sequence, absl::Span<const int32_t> ids,
                          bool expanded, LogitsWanted wanted);

  const KernelTable* kernels_;
  std::unique_ptr<Topology> topology_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<LoadedModel> loaded_;
};

/// Index of the largest value; the lowest among equals.
int32_t ArgMax(absl::Span<const float> values);

/// The table that MLAD_ISA names, or the best one; aborts when the CPU lacks it
/// (per-ISA tests skip themselves first).
const KernelTable* SelectedKernels();

}  // namespace mlad
