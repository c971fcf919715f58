#include <algorithm>

#include "attention/expanded_form.h"

namespace mlad {
namespace {

/// columns[c][r] = rows[r][c]
void Transpose(const float* rows, int64_t row_stride, int64_t count,
               int64_t length, float* columns) {
  for (int64_t c = 0; c < length; ++c) {
    for (int64_t r = 0; r < count; ++r) {
      columns[c * kExpandedTile + r] = rows[r * row_stride + c];
    }
  }
}

/// Turns the scores of one row, `visible` of `count` of them, into softmax
/// numerators and brings its state up to the new peak.
void UpdateRow(const ExpandedChunk& chunk, const SoftmaxState& state,
               int64_t row, int64_t visible, int64_t count, float* scores) {
  const KernelTable& kernels = *chunk.kernels;
  kernels.scale(scores, visible, chunk.shape.softmax_scale);
  const float factor = kernels.softmax_update(scores, visible, state.peak + row,
                                              state.sum + row);
  std::fill(scores + visible, scores + count, 0.0f);
  if (factor != 1) {
    kernels.scale(state.out + row * ValueStride(chunk.shape), chunk.shape.v_dim,
                  factor);
  }
}

}  // namespace

ExpandedFloats::ExpandedFloats(const ExpandedShape& shape,
                               BumpAllocator& memory)
    : latents_(memory.Take<float>(kExpandedTile * shape.row_elements())),
      k_nope_(memory.Take<float>(kExpandedTile * shape.qk_nope)),
      keys_(memory.Take<float>(shape.qk_dim() * kExpandedTile)),
      values_(memory.Take<float>(kExpandedTile * shape.v_dim)),
      scores_(memory.Take<float>(kExpandedRows * kExpandedTile)) {}

void ExpandedFloats::BeginTile(const ExpandedChunk& chunk, ExpandedTile tile) {
  const ExpandedShape& shape = chunk.shape;
  const int64_t row_elements = shape.row_elements();
  for (int64_t done = 0; done < tile.count; done += kPagePositions) {
    const int64_t count = std::min<int64_t>(kPagePositions, tile.count - done);
    chunk.kernels->decode_latent(
        chunk.cache->shape().type, ReadRows(chunk, tile.begin + done, count),
        count, row_elements, latents_ + done * row_elements);
  }
  Transpose(latents_ + shape.kv_lora_rank, row_elements, tile.count,
            shape.rope_dim, keys_ + shape.qk_nope * kExpandedTile);
}

void ExpandedFloats::Expand(const ExpandedChunk& chunk, int64_t head,
                            ExpandedTile tile) {
  const ExpandedShape& shape = chunk.shape;
  GemmArgs args;
  args.m = tile.count;
  args.k = shape.kv_lora_rank;
  args.a = latents_;
  args.lda = shape.row_elements();

  args.n = shape.qk_nope;
  args.b = chunk.heads[head].w_uk;
  args.ldb = shape.qk_nope;
  args.c = k_nope_;
  args.ldc = shape.qk_nope;
  chunk.kernels->gemm(args);
  Transpose(k_nope_, shape.qk_nope, tile.count, shape.qk_nope, keys_);

  args.n = shape.v_dim;
  args.b = chunk.heads[head].w_uv;
  args.ldb = shape.v_dim;
  args.c = values_;
  args.ldc = shape.v_dim;
  chunk.kernels->gemm(args);
}

/// At most kExpandedRows rows.
void ExpandedFloats::AttendRows(const ExpandedChunk& chunk,
                                const ExpandedHead& head,
                                const SoftmaxState& state, ExpandedTile tile,
                                WorkRange rows) {
  const ExpandedShape& shape = chunk.shape;
  const int64_t first_visible =
      chunk.rows.first_position + rows.begin + 1 - tile.begin;
  const int64_t count = std::min(first_visible + rows.size() - 1, tile.count);

  GemmArgs args;
  args.m = rows.size();
  args.n = count;
  args.k = shape.qk_dim();
  args.a = head.q + rows.begin * head.q_stride;
  args.lda = head.q_stride;
  args.b = keys_;
  args.ldb = kExpandedTile;
  args.c = scores_;
  args.ldc = kExpandedTile;
  chunk.kernels->gemm(args);

  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const int64_t visible = std::min(first_visible + row - rows.begin, count);
    UpdateRow(chunk, state, row, visible, count,
              scores_ + (row - rows.begin) * kExpandedTile);
  }

  args.n = shape.v_dim;
  args.k = count;
  args.a = scores_;
  args.lda = kExpandedTile;
  args.b = values_;
  args.ldb = shape.v_dim;
  args.c = state.out + rows.begin * ValueStride(shape);
  args.ldc = ValueStride(shape);
  args.accumulate = true;
  chunk.kernels->gemm(args);
}

void ExpandedFloats::Attend(const ExpandedChunk& chunk, int64_t head,
                            const SoftmaxState& state, ExpandedTile tile,
                            int64_t first_row) {
  for (int64_t row = first_row; row < chunk.rows.rows; row += kExpandedRows) {
    AttendRows(chunk, chunk.heads[head], state, tile,
               {row, std::min(row + kExpandedRows, chunk.rows.rows)});
  }
}

}  // namespace mlad
