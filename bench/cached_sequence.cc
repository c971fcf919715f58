#include "bench/cached_sequence.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "base/check.h"

namespace mlad {
namespace {

uint64_t Mix(uint64_t value) {
  value *= 0x9E3779B97F4A7C15u;
  return value ^ (value >> 29);
}

/// Ids all over the vocabulary, so that experts and embedding rows vary.
int32_t IdAt(int64_t position, int64_t sequence, int64_t vocab) {
  const uint64_t mixed =
      Mix(static_cast<uint64_t>(position * 7919 + sequence * 104729 + 17));
  return static_cast<int32_t>((mixed >> 20) % static_cast<uint64_t>(vocab));
}

void Ignore(int, int64_t, absl::Span<const float>) {}

}  // namespace

void ReadPrompt(LoadedModel& model, CachedSequence& sequence, int64_t begin,
                int64_t end) {
  Transformer& transformer = model.transformer();
  const int64_t chunk = transformer.prompt_chunk_tokens();
  MLAD_CHECK(model.pages().Grow(sequence.pages, end).ok());
  for (int64_t at = begin; at < end;) {
    const int64_t border = (at / chunk + 1) * chunk;
    const int64_t stop = std::min(border, end);
    sequence.ids.clear();
    for (int64_t i = at; i < stop; ++i) {
      sequence.ids.push_back(
          IdAt(i, sequence.number, transformer.vocab_size()));
    }
    const StepSpan span = {
        &sequence.pages, sequence.ids, at, stop - at == chunk,
        stop == end ? LogitsWanted::kLast : LogitsWanted::kNone};
    transformer.Step(absl::MakeConstSpan(&span, 1), Ignore);
    at = stop;
  }
}

void GenerateStep(LoadedModel& model, absl::Span<CachedSequence> sequences,
                  int64_t position) {
  Transformer& transformer = model.transformer();
  std::vector<StepSpan> spans;
  for (CachedSequence& sequence : sequences) {
    sequence.ids.assign(
        1, IdAt(position, sequence.number, transformer.vocab_size()));
    spans.push_back(
        {&sequence.pages, sequence.ids, position, false, LogitsWanted::kLast});
  }
  transformer.Step(spans, Ignore);
}

CacheFiller::CacheFiller(LoadedModel& model, Executor& executor,
                         const KernelTable& kernels, CacheFill fill)
    : model_(model), executor_(executor), fill_(fill) {
  if (fill == CacheFill::kRandom) MakePool(kernels);
}

void CacheFiller::MakePool(const KernelTable& kernels) {
  const LatentCache& cache = model_.cache();
  const LatentCacheShape& shape = cache.shape();
  std::mt19937 random(1);  // the same rows in every run
  std::normal_distribution<float> normal;
  pool_.resize(kPoolRows * cache.row_bytes());
  std::vector<float> row(shape.row_elements);
  for (int64_t r = 0; r < kPoolRows; ++r) {
    for (float& x : row) x = normal(random);
    kernels.encode_latent(shape.type, row.data(), shape.row_elements,
                          &pool_[r * cache.row_bytes()]);
  }
}

void CacheFiller::ForPages(const CachedSequence& sequence, int64_t depth,
                           const std::function<void(int64_t)>& store) {
  const int64_t pages = PageAllocator::PagesForTokens(depth);
  for (int node = 0; node < executor_.nodes(); ++node) {
    std::vector<int64_t> mine;
    for (int64_t page = 0; page < pages; ++page) {
      if (sequence.pages.pages[page].node == node) mine.push_back(page);
    }
    executor_.ParallelFor(node, static_cast<int64_t>(mine.size()),
                          [&](int64_t i) { store(mine[i]); });
  }
}

void CacheFiller::StoreRandom(const CachedSequence& to, int64_t depth) {
  const LatentCache& cache = model_.cache();
  const int64_t rows = cache.shape().layers * kPagePositions;
  ForPages(to, depth, [&](int64_t page) {
    std::byte* out = cache.Rows(to.pages.pages[page], 0);
    for (int64_t r = 0; r < rows; ++r) {
      const uint64_t drawn = Mix(static_cast<uint64_t>(page * rows + r)) >> 7;
      std::memcpy(
          out + r * cache.row_bytes(),
          &pool_[static_cast<int64_t>(drawn % kPoolRows) * cache.row_bytes()],
          cache.row_bytes());
    }
  });
}

void CacheFiller::Copy(const CachedSequence& from, const CachedSequence& to,
                       int64_t depth) {
  const LatentCache& cache = model_.cache();
  ForPages(to, depth, [&](int64_t page) {
    std::memcpy(cache.Rows(to.pages.pages[page], 0),
                cache.Rows(from.pages.pages[page], 0), cache.page_bytes());
  });
}

void CacheFiller::Read(CachedSequence& sequence, int64_t depth,
                       const Progress& progress) {
  // From a chunk's border: the incomplete chunk behind it was read in another
  // form, and tests have written after it.
  const int64_t chunk = model_.transformer().prompt_chunk_tokens();
  for (int64_t at = std::min(depth_, depth) / chunk * chunk; at < depth;) {
    const int64_t end = std::min(at + chunk, depth);
    ReadPrompt(model_, sequence, at, end);
    at = end;
    progress(static_cast<double>(at) / static_cast<double>(depth));
  }
  depth_ = depth;
}

void CacheFiller::Fill(absl::Span<CachedSequence> sequences, int64_t depth,
                       const Progress& progress) {
  if (depth == 0) return;
  for (CachedSequence& sequence : sequences) {
    MLAD_CHECK(model_.pages().Grow(sequence.pages, depth).ok());
  }
  if (fill_ == CacheFill::kRandom) {
    for (CachedSequence& sequence : sequences) StoreRandom(sequence, depth);
    return;
  }
  Read(sequences.front(), depth, progress);
  for (const CachedSequence& sequence : sequences.subspan(1)) {
    Copy(sequences.front(), sequence, depth);
  }
}

}  // namespace mlad
