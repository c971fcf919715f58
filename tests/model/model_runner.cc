#include "tests/model/model_runner.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/check.h"

namespace mlad {
namespace {

template <typename T>
T ValueOrDie(absl::StatusOr<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n",
                 std::string(result.status().message()).c_str());
  }
  MLAD_CHECK(result.ok());
  return *std::move(result);
}

}  // namespace

const KernelTable* SelectedKernels() {
  const char* isa = std::getenv("MLAD_ISA");
  return ValueOrDie(SelectKernels(isa == nullptr ? "" : isa));
}

int32_t ArgMax(absl::Span<const float> values) {
  return static_cast<int32_t>(std::max_element(values.begin(), values.end()) -
                              values.begin());
}

ModelRunner::ModelRunner(const std::string& path, const RunnerOptions& options)
    : kernels_(options.kernels != nullptr ? options.kernels
                                          : SelectedKernels()) {
  TopologyOptions topology;
  topology.nodes = options.nodes;
  topology.threads_per_node = options.threads_per_node;
  topology_ = ValueOrDie(Topology::Create(topology));
  executor_ = ValueOrDie(Executor::Create(*topology_));
  const auto file = ValueOrDie(GgufFile::Open(path, {}));
  LoadOptions load;
  load.kernels = kernels_;
  load.kv_type = options.kv_type;
  load.experts = options.experts;
  load.cache_tokens = options.cache_tokens;
  load.chunk_tokens = options.chunk_tokens;
  loaded_ = ValueOrDie(LoadedModel::Load(*file, *topology_, *executor_, load));
}

void ModelRunner::Grow(Sequence& sequence, int64_t tokens) {
  MLAD_CHECK(loaded_->pages().Grow(sequence.pages, tokens).ok());
}

std::vector<ModelRunner::Logits> ModelRunner::Run(Sequence& sequence,
                                                  absl::Span<const int32_t> ids,
                                                  bool expanded,
                                                  LogitsWanted wanted) {
  Grow(sequence, sequence.tokens + static_cast<int64_t>(ids.size()));
  const StepSpan span = {&sequence.pages, ids, sequence.tokens, expanded,
                         wanted};
  std::vector<Logits> result;
  loaded_->transformer().Step(
      absl::MakeConstSpan(&span, 1),
      [&](int, int64_t, absl::Span<const float> logits) {
        result.emplace_back(logits.begin(), logits.end());
      });
  sequence.tokens += static_cast<int64_t>(ids.size());
  return result;
}

std::vector<ModelRunner::Logits> ModelRunner::ReadAll(
    Sequence& sequence, absl::Span<const int32_t> ids) {
  MLAD_CHECK(sequence.tokens == 0);
  const size_t chunk = loaded_->transformer().prompt_chunk_tokens();
  std::vector<Logits> result;
  for (size_t at = 0; at < ids.size();) {
    const size_t count = std::min(chunk, ids.size() - at);
    const auto part = Run(sequence, ids.subspan(at, count), count == chunk,
                          LogitsWanted::kAll);
    result.insert(result.end(), part.begin(), part.end());
    at += count;
  }
  return result;
}

ModelRunner::Logits ModelRunner::Read(Sequence& sequence,
                                      absl::Span<const int32_t> ids) {
  MLAD_CHECK(sequence.tokens == 0);
  const size_t chunk = loaded_->transformer().prompt_chunk_tokens();
  std::vector<Logits> last;
  for (size_t at = 0; at < ids.size();) {
    const size_t count = std::min(chunk, ids.size() - at);
    at += count;
    last = Run(sequence, ids.subspan(at - count, count), count == chunk,
               at == ids.size() ? LogitsWanted::kLast : LogitsWanted::kNone);
  }
  return last.at(0);
}

ModelRunner::Logits ModelRunner::Append(Sequence& sequence,
                                        absl::Span<const int32_t> ids) {
  return Run(sequence, ids, false, LogitsWanted::kLast).at(0);
}

std::vector<ModelRunner::Logits> ModelRunner::AppendEach(
    absl::Span<Sequence* const> sequences, absl::Span<const int32_t> ids) {
  std::vector<StepSpan> spans;
  for (size_t i = 0; i < sequences.size(); ++i) {
    Grow(*sequences[i], sequences[i]->tokens + 1);
    spans.push_back({&sequences[i]->pages, ids.subspan(i, 1),
                     sequences[i]->tokens, false, LogitsWanted::kLast});
  }
  std::vector<Logits> result;
  loaded_->transformer().Step(
      spans, [&](int, int64_t, absl::Span<const float> logits) {
        result.emplace_back(logits.begin(), logits.end());
      });
  for (Sequence* sequence : sequences) ++sequence->tokens;
  return result;
}

ModelRunner::Logits ModelRunner::LogitsAfter(absl::Span<const int32_t> prompt) {
  Sequence sequence = NewSequence();
  Logits logits = Read(sequence, prompt);
  Release(sequence);
  return logits;
}

std::vector<int32_t> ModelRunner::Greedy(absl::Span<const int32_t> prompt,
                                         int count) {
  Sequence sequence = NewSequence();
  Logits logits = Read(sequence, prompt);
  std::vector<int32_t> ids;
  while (static_cast<int>(ids.size()) < count) {
    ids.push_back(ArgMax(logits));
    if (static_cast<int>(ids.size()) == count) break;
    logits = Append(sequence, absl::MakeConstSpan(&ids.back(), 1));
  }
  Release(sequence);
  return ids;
}

}  // namespace mlad
