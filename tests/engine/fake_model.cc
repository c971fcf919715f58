#include "tests/engine/fake_model.h"

#include <algorithm>
#include <set>

namespace mlad {
namespace {

uint64_t Mix(uint64_t value) {  // the finaliser of SplitMix64
  value += 0x9E3779B97F4A7C15u;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
  return value ^ (value >> 31);
}

}  // namespace

void FakeModel::Step(absl::Span<const StepSpan> spans, LogitsConsumer consume) {
  AwaitPermission();
  if (on_step) on_step(spans, {0, shape_.layers});
  int64_t tokens = 0;
  std::set<const PageTable*> tables;
  for (const StepSpan& span : spans) {
    CheckSpan(span);
    tokens += static_cast<int64_t>(span.tokens.size());
    Check(tables.insert(span.pages).second, "a sequence has two spans");
    Check(partial_ != span.pages, "a span whose layers are being computed");
  }
  Check(!spans.empty(), "an empty step");
  Check(static_cast<int64_t>(spans.size()) <= shape_.step_spans,
        "too many spans");
  Check(tokens <= shape_.step_tokens, "too many tokens");
  Compute(spans, consume);
}

void FakeModel::StepLayers(const StepSpan& span, WorkRange layers,
                           LogitsConsumer consume) {
  AwaitPermission();
  if (on_step) on_step(absl::MakeConstSpan(&span, 1), layers);
  CheckSpan(span);
  Check(span.expanded, "layers of an absorbed span");
  Check(layers.begin == 0 ||
            (partial_ == span.pages && layers.begin == next_layer_),
        "layers that do not follow");
  Check(layers.begin < layers.end && layers.end <= shape_.layers,
        "layers that do not exist");
  partial_ = span.pages;
  next_layer_ = layers.end;
  if (layers.end == shape_.layers) {
    partial_ = nullptr;
    Compute(absl::MakeConstSpan(&span, 1), consume);
    return;
  }
  const std::lock_guard lock(mutex_);
  ++steps_;
}

void FakeModel::Compute(absl::Span<const StepSpan> spans,
                        LogitsConsumer consume) {
  for (size_t s = 0; s < spans.size(); ++s) {
    const StepSpan& span = spans[s];
    const int64_t count = static_cast<int64_t>(span.tokens.size());
    std::vector<FakeRow> rows;
    for (int64_t p = 0; p < span.start_position; ++p) {
      rows.push_back(Row(*span.pages, p));
      Check(rows.back().token >= 0, "a position before the span is unknown");
    }
    for (int64_t i = 0; i < count; ++i) {
      rows.push_back({span.tokens[i], span.expanded});
      Row(*span.pages, span.start_position + i) = rows.back();
      const bool wanted =
          span.logits == LogitsWanted::kAll ||
          (span.logits == LogitsWanted::kLast && i == count - 1);
      if (wanted) consume(static_cast<int>(s), i, LogitsAfter(rows));
    }
  }
  const std::lock_guard lock(mutex_);
  ++steps_;
}

void FakeModel::CheckSpan(const StepSpan& span) {
  const int64_t count = static_cast<int64_t>(span.tokens.size());
  Check(count > 0, "an empty span");
  Check(span.start_position + count <= span.pages->capacity_tokens(),
        "a span beyond its pages");
  Check(!span.expanded || count <= shape_.chunk, "an expanded span too long");
  for (const int32_t token : span.tokens) {
    Check(token >= 0 && token < shape_.vocab, "an id beyond the vocabulary");
  }
}

FakeRow& FakeModel::Row(const PageTable& pages, int64_t position) {
  const PageRef page = pages.pages[position / kPagePositions];
  std::vector<FakeRow>& rows = cache_[{page.node, page.index}];
  rows.resize(kPagePositions);
  return rows[position % kPagePositions];
}

void FakeModel::AwaitPermission() {
  std::unique_lock lock(mutex_);
  waiting_ = true;
  changed_.notify_all();
  changed_.wait(lock, [this] { return !held_ || allowed_ > 0; });
  waiting_ = false;
  if (held_) --allowed_;
}

void FakeModel::Hold() {
  const std::lock_guard lock(mutex_);
  held_ = true;
}

void FakeModel::Allow(int64_t steps) {
  const std::lock_guard lock(mutex_);
  allowed_ += steps;
  changed_.notify_all();
}

void FakeModel::Release() {
  const std::lock_guard lock(mutex_);
  held_ = false;
  changed_.notify_all();
}

void FakeModel::AwaitStep() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return waiting_ && allowed_ == 0; });
}

std::vector<FakeRow> FakeModel::RowsOf(absl::Span<const int32_t> tokens,
                                       int64_t prompt) const {
  std::vector<FakeRow> rows;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const int64_t chunk_end =
        (static_cast<int64_t>(i) / shape_.chunk + 1) * shape_.chunk;
    rows.push_back({tokens[i], chunk_end <= prompt});
  }
  return rows;
}

std::vector<float> FakeModel::LogitsAfter(
    absl::Span<const FakeRow> rows) const {
  uint64_t hash = 0;
  std::vector<int32_t> tokens;
  for (const FakeRow& row : rows) {
    hash = Mix(hash ^ static_cast<uint64_t>(row.token * 2 + row.expanded));
    tokens.push_back(row.token);
  }
  std::vector<float> logits(shape_.vocab);
  for (int64_t i = 0; i < shape_.vocab; ++i) {
    logits[i] = static_cast<float>(Mix(hash ^ static_cast<uint64_t>(i)) >> 40) *
                0x1p-22f;
  }
  const int32_t scripted = script_ ? script_(tokens) : -1;
  if (scripted >= 0) logits[scripted] = 100;
  return logits;
}

std::vector<int32_t> FakeModel::Continue(std::vector<int32_t> prompt,
                                         int64_t count) const {
  const int64_t prompt_tokens = static_cast<int64_t>(prompt.size());
  std::vector<int32_t> continuation;
  for (int64_t i = 0; i < count; ++i) {
    const std::vector<float> logits =
        LogitsAfter(RowsOf(prompt, prompt_tokens));
    const auto best = std::max_element(logits.begin(), logits.end());
    prompt.push_back(static_cast<int32_t>(best - logits.begin()));
    continuation.push_back(prompt.back());
  }
  return continuation;
}

void FakeModel::Check(bool promise, const std::string& complaint) {
  if (promise) return;
  const std::lock_guard lock(mutex_);
  complaints_.push_back(complaint);
}

std::vector<std::string> FakeModel::complaints() const {
  const std::lock_guard lock(mutex_);
  return complaints_;
}

int64_t FakeModel::steps() const {
  const std::lock_guard lock(mutex_);
  return steps_;
}

}  // namespace mlad
