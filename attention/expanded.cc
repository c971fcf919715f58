#include "attention/expanded.h"

#include <algorithm>
#include <limits>

#include "numa/bump_allocator.h"

namespace mlad {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

/// Softmax state of all rows of one head.
struct HeadState {
  float* peak;  // [rows]
  float* sum;   // [rows]
  float* out;   // [rows, v_dim]
};

struct Scratch {
  float* latents;   // [kExpandedTile, row_elements]
  float* k_nope;    // [kExpandedTile, qk_nope]
  float* keys;      // [qk_dim, kExpandedTile]: a position is a column
  float* values;    // [kExpandedTile, v_dim]
  float* scores;    // [kExpandedRows, kExpandedTile]
  HeadState state;  // of the first head; the others follow
};

Scratch LayOut(const ExpandedShape& shape, int64_t rows, int64_t heads,
               BumpAllocator& memory) {
  Scratch scratch;
  scratch.latents = memory.Take<float>(kExpandedTile * shape.row_elements());
  scratch.k_nope = memory.Take<float>(kExpandedTile * shape.qk_nope);
  scratch.keys = memory.Take<float>(shape.qk_dim() * kExpandedTile);
  scratch.values = memory.Take<float>(kExpandedTile * shape.v_dim);
  scratch.scores = memory.Take<float>(kExpandedRows * kExpandedTile);
  scratch.state.peak = memory.Take<float>(heads * rows);
  scratch.state.sum = memory.Take<float>(heads * rows);
  scratch.state.out = memory.Take<float>(heads * rows * shape.v_dim);
  return scratch;
}

HeadState StateOfHead(const ExpandedChunk& chunk, const Scratch& scratch,
                      int64_t head) {
  const int64_t row = head * chunk.rows.rows;
  return {scratch.state.peak + row, scratch.state.sum + row,
          scratch.state.out + row * chunk.shape.v_dim};
}

/// Positions [begin, begin + count) of the sequence.
struct Tile {
  int64_t begin;
  int64_t count;
};

/// columns[c][r] = rows[r][c]
void Transpose(const float* rows, int64_t row_stride, int64_t count,
               int64_t length, float* columns) {
  for (int64_t c = 0; c < length; ++c) {
    for (int64_t r = 0; r < count; ++r) {
      columns[c * kExpandedTile + r] = rows[r * row_stride + c];
    }
  }
}

/// Decodes the tile's latents and places the part of the keys that all heads
/// share.
void DecodeTile(const ExpandedChunk& chunk, Tile tile, const Scratch& scratch) {
  const LatentCache& cache = *chunk.cache;
  const ExpandedShape& shape = chunk.shape;
  const int64_t row_elements = shape.row_elements();
  for (int64_t done = 0; done < tile.count; done += kPagePositions) {
    const PageRef page =
        chunk.rows.pages->pages[(tile.begin + done) / kPagePositions];
    const int64_t count = std::min<int64_t>(kPagePositions, tile.count - done);
    chunk.kernels->decode_latent(
        cache.shape().type, cache.Rows(page, chunk.layer), count, row_elements,
        scratch.latents + done * row_elements);
    chunk.traffic->Add(page.node == chunk.node, count * cache.row_bytes());
  }
  Transpose(scratch.latents + shape.kv_lora_rank, row_elements, tile.count,
            shape.rope_dim, scratch.keys + shape.qk_nope * kExpandedTile);
}

/// The keys and values of one head over the tile.
void ExpandTile(const ExpandedChunk& chunk, const ExpandedHead& head, Tile tile,
                const Scratch& scratch) {
  const ExpandedShape& shape = chunk.shape;
  GemmArgs args;
  args.m = tile.count;
  args.k = shape.kv_lora_rank;
  args.a = scratch.latents;
  args.lda = shape.row_elements();

  args.n = shape.qk_nope;
  args.b = head.w_uk;
  args.ldb = shape.qk_nope;
  args.c = scratch.k_nope;
  args.ldc = shape.qk_nope;
  chunk.kernels->gemm(args);
  Transpose(scratch.k_nope, shape.qk_nope, tile.count, shape.qk_nope,
            scratch.keys);

  args.n = shape.v_dim;
  args.b = head.w_uv;
  args.ldb = shape.v_dim;
  args.c = scratch.values;
  args.ldc = shape.v_dim;
  chunk.kernels->gemm(args);
}

/// Turns the scores of one row, `visible` of `count` of them, into softmax
/// numerators and brings its state up to the new peak.
void UpdateRow(const ExpandedChunk& chunk, const HeadState& state, int64_t row,
               int64_t visible, int64_t count, float* scores) {
  const KernelTable& kernels = *chunk.kernels;
  kernels.scale(scores, visible, chunk.shape.softmax_scale);
  const float factor = kernels.softmax_update(scores, visible, state.peak + row,
                                              state.sum + row);
  std::fill(scores + visible, scores + count, 0.0f);
  if (factor != 1) {
    kernels.scale(state.out + row * chunk.shape.v_dim, chunk.shape.v_dim,
                  factor);
  }
}

/// Rows [begin, end), at most kExpandedRows, against the tile.
void AttendTile(const ExpandedChunk& chunk, const ExpandedHead& head,
                const HeadState& state, Tile tile, int64_t begin, int64_t end,
                const Scratch& scratch) {
  const ExpandedShape& shape = chunk.shape;
  const int64_t first_visible =
      chunk.rows.first_position + begin + 1 - tile.begin;
  const int64_t count = std::min(first_visible + (end - begin - 1), tile.count);

  GemmArgs args;
  args.m = end - begin;
  args.n = count;
  args.k = shape.qk_dim();
  args.a = head.q + begin * head.q_stride;
  args.lda = head.q_stride;
  args.b = scratch.keys;
  args.ldb = kExpandedTile;
  args.c = scratch.scores;
  args.ldc = kExpandedTile;
  chunk.kernels->gemm(args);

  for (int64_t row = begin; row < end; ++row) {
    const int64_t visible = std::min(first_visible + row - begin, count);
    UpdateRow(chunk, state, row, visible, count,
              scratch.scores + (row - begin) * kExpandedTile);
  }

  args.n = shape.v_dim;
  args.k = count;
  args.a = scratch.scores;
  args.lda = kExpandedTile;
  args.b = scratch.values;
  args.ldb = shape.v_dim;
  args.c = state.out + begin * shape.v_dim;
  args.ldc = shape.v_dim;
  args.accumulate = true;
  chunk.kernels->gemm(args);
}

void StoreHead(const ExpandedChunk& chunk, const ExpandedHead& head,
               const HeadState& state) {
  const int64_t v_dim = chunk.shape.v_dim;
  for (int64_t row = 0; row < chunk.rows.rows; ++row) {
    const float factor = state.sum[row] == 0 ? 0 : 1 / state.sum[row];
    float* out = head.out + row * head.out_stride;
    for (int64_t i = 0; i < v_dim; ++i) {
      out[i] = factor * state.out[row * v_dim + i];
    }
  }
}

}  // namespace

int64_t ExpandedScratchFloats(const ExpandedShape& shape, int64_t chunk_tokens,
                              int64_t heads) {
  BumpAllocator memory;
  LayOut(shape, chunk_tokens, heads, memory);
  return memory.used_bytes() / static_cast<int64_t>(sizeof(float));
}

void RunExpanded(const ExpandedChunk& chunk) {
  const int64_t rows = chunk.rows.rows;
  const int64_t heads = static_cast<int64_t>(chunk.heads.size());
  BumpAllocator memory(reinterpret_cast<std::byte*>(chunk.scratch));
  const Scratch scratch = LayOut(chunk.shape, rows, heads, memory);
  std::fill_n(scratch.state.peak, heads * rows, kMinusInfinity);
  std::fill_n(scratch.state.sum, heads * rows, 0.0f);
  std::fill_n(scratch.state.out, heads * rows * chunk.shape.v_dim, 0.0f);

  const int64_t end = chunk.rows.first_position + rows;
  for (int64_t begin = 0; begin < end; begin += kExpandedTile) {
    const Tile tile = {begin, std::min(kExpandedTile, end - begin)};
    const int64_t first_row =
        std::max<int64_t>(begin - chunk.rows.first_position, 0);
    DecodeTile(chunk, tile, scratch);
    for (int64_t h = 0; h < heads; ++h) {
      const HeadState state = StateOfHead(chunk, scratch, h);
      ExpandTile(chunk, chunk.heads[h], tile, scratch);
      for (int64_t row = first_row; row < rows; row += kExpandedRows) {
        AttendTile(chunk, chunk.heads[h], state, tile, row,
                   std::min(row + kExpandedRows, rows), scratch);
      }
    }
  }
  for (int64_t h = 0; h < heads; ++h) {
    StoreHead(chunk, chunk.heads[h], StateOfHead(chunk, scratch, h));
  }
}

}  // namespace mlad
