#include "attention/expanded.h"

#include <algorithm>
#include <limits>

#include "attention/expanded_form.h"

namespace mlad {
namespace {

/// Of all rows of `heads` heads, one after the other; out has a stride of
/// ValueStride.
SoftmaxState TakeState(const ExpandedShape& shape, int64_t rows, int64_t heads,
                       BumpAllocator& memory) {
  SoftmaxState state;
  state.peak = memory.Take<float>(heads * rows);
  state.sum = memory.Take<float>(heads * rows);
  state.out = memory.Take<float>(heads * rows * ValueStride(shape));
  return state;
}

SoftmaxState StateOfHead(const ExpandedChunk& chunk, const SoftmaxState& state,
                         int64_t head) {
  const int64_t row = head * chunk.rows.rows;
  return {state.peak + row, state.sum + row,
          state.out + row * ValueStride(chunk.shape)};
}

void StoreHead(const ExpandedChunk& chunk, const ExpandedHead& head,
               const SoftmaxState& state) {
  const int64_t stride = ValueStride(chunk.shape);
  for (int64_t row = 0; row < chunk.rows.rows; ++row) {
    const float factor = state.sum[row] == 0 ? 0 : 1 / state.sum[row];
    float* out = head.out + row * head.out_stride;
    for (int64_t i = 0; i < chunk.shape.v_dim; ++i) {
      out[i] = factor * state.out[row * stride + i];
    }
  }
}

template <class Form>
void RunTiles(const ExpandedChunk& chunk, const SoftmaxState& state,
              Form form) {
  const int64_t rows = chunk.rows.rows;
  const auto heads = static_cast<int64_t>(chunk.heads.size());
  for (int64_t h = 0; h < heads; ++h) form.BeginHead(chunk, h);
  const int64_t end = chunk.rows.first_position + rows;
  for (int64_t begin = 0; begin < end; begin += kExpandedTile) {
    const ExpandedTile tile = {begin, std::min(kExpandedTile, end - begin)};
    const int64_t first_row =
        std::max<int64_t>(begin - chunk.rows.first_position, 0);
    if (chunk.window != nullptr) chunk.window->MoveTo(begin);
    form.BeginTile(chunk, tile);
    for (int64_t h = 0; h < heads; ++h) {
      form.Expand(chunk, h, tile);
      form.Attend(chunk, h, StateOfHead(chunk, state, h), tile, first_row);
    }
  }
  if (chunk.window != nullptr) chunk.window->Finish();
}

}  // namespace

const std::byte* ReadRows(const ExpandedChunk& chunk, int64_t position,
                          int64_t count) {
  const int64_t index = position / kPagePositions;
  const PageRef page = chunk.rows.pages->pages[index];
  const bool fetched = chunk.window != nullptr;
  chunk.traffic->Add(fetched || page.node == chunk.node,
                     count * chunk.cache->row_bytes());
  return fetched ? chunk.window->Rows(index)
                 : chunk.cache->Rows(page, chunk.layer);
}

int64_t ExpandedScratchFloats(const ExpandedShape& shape, int64_t chunk_tokens,
                              int64_t heads) {
  BumpAllocator floats, codes;
  TakeState(shape, chunk_tokens, heads, floats);
  TakeState(shape, chunk_tokens, heads, codes);
  ExpandedFloats(shape, floats);
  ExpandedCodes(shape, chunk_tokens, heads, codes);
  return std::max(floats.used_bytes(), codes.used_bytes()) /
         static_cast<int64_t>(sizeof(float));
}

void RunExpanded(const ExpandedChunk& chunk) {
  const int64_t rows = chunk.rows.rows;
  const auto heads = static_cast<int64_t>(chunk.heads.size());
  BumpAllocator memory(reinterpret_cast<std::byte*>(chunk.scratch));
  const SoftmaxState state = TakeState(chunk.shape, rows, heads, memory);
  std::fill_n(state.peak, heads * rows,
              -std::numeric_limits<float>::infinity());
  std::fill_n(state.sum, heads * rows, 0.0f);
  std::fill_n(state.out, heads * rows * ValueStride(chunk.shape), 0.0f);
  if (ExpandedCodes::Serves(chunk)) {
    RunTiles(chunk, state, ExpandedCodes(chunk.shape, rows, heads, memory));
  } else {
    RunTiles(chunk, state, ExpandedFloats(chunk.shape, memory));
  }
  for (int64_t h = 0; h < heads; ++h) {
    StoreHead(chunk, chunk.heads[h], StateOfHead(chunk, state, h));
  }
}

}  // namespace mlad
