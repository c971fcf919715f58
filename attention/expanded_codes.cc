#include <algorithm>
#include <cstring>

#include "attention/expanded_form.h"
#include "base/check.h"
#include "base/round_up.h"

namespace mlad {
namespace {

static_assert(kExpandedTile <= kMaxCodedPositions);

/// Two blocks of queries: kernels multiply both with a row that they load once.
constexpr int64_t kRowsAtOnce = int64_t{2} * kCodeQueries;

QueryCodes TakeCodes(int64_t vectors, int64_t columns, BumpAllocator& memory) {
  QueryCodes codes;
  codes.codes = memory.Take<uint8_t>(vectors * columns);
  codes.scale = memory.Take<float>(vectors);
  return codes;
}

/// Of the vectors from `first` on, a multiple of kCodeQueries.
QueryCodes Advance(const QueryCodes& codes, int64_t first, int64_t columns) {
  MLAD_DCHECK(first % kCodeQueries == 0);
  QueryCodes rest;
  rest.codes = codes.codes + first * columns;
  rest.scale = codes.scale + first;
  return rest;
}

}  // namespace

bool ExpandedCodes::Serves(const ExpandedChunk& chunk) {
  return chunk.kernels->coded_attention != nullptr &&
         chunk.cache->shape().type == KvType::kQ8KV &&
         chunk.shape.kv_lora_rank % kCodeColumns == 0;
}

ExpandedCodes::ExpandedCodes(const ExpandedShape& shape, int64_t rows,
                             int64_t heads, BumpAllocator& memory)
    : rank_(shape.kv_lora_rank),
      value_columns_(ValueStride(shape)),
      nope_columns_(RoundUp(shape.qk_nope, kCodeColumns)),
      key_columns_(nope_columns_ + RoundUp(shape.rope_dim, kCodeColumns)),
      rows_(RoundUp(rows, kCodeQueries)),
      matrices_(
          TakeCodes(heads * (value_columns_ + nope_columns_), rank_, memory)),
      queries_(TakeCodes(heads * rows_, key_columns_, memory)),
      block_(memory.Take<float>(kCodeQueries * std::max(rank_, key_columns_))),
      latents_(memory.Take<std::byte>(
          kExpandedTile * CodedRows::RowBytes(shape.row_elements()))),
      expanded_(
          memory.Take<float>(kExpandedTile * (value_columns_ + key_columns_))),
      keys_(memory.Take<std::byte>(kExpandedTile *
                                   CodedRows::RowBytes(key_columns_))),
      value_rows_(memory.Take<std::byte>(kExpandedTile *
                                         CodedRows::RowBytes(value_columns_))),
      values_(memory.Take<int8_t>(kExpandedTile * value_columns_)),
      value_scales_(memory.Take<float>(kExpandedTile)) {}

QueryCodes ExpandedCodes::MatrixOfHead(int64_t head) const {
  return Advance(matrices_, head * (value_columns_ + nope_columns_), rank_);
}

QueryCodes ExpandedCodes::QueriesOfHead(int64_t head) const {
  return Advance(queries_, head * rows_, key_columns_);
}

/// Vectors first_vector, ... of `out` are the `count` columns of
/// w [rank, count].
void ExpandedCodes::EncodeColumns(const ExpandedChunk& chunk, const float* w,
                                  int64_t count, int64_t first_vector,
                                  const QueryCodes& out) {
  for (int64_t begin = 0; begin < count; begin += kCodeQueries) {
    const int64_t vectors = std::min<int64_t>(kCodeQueries, count - begin);
    for (int64_t c = 0; c < rank_; ++c) {
      for (int64_t i = 0; i < vectors; ++i) {
        block_[i * rank_ + c] = w[c * count + begin + i];
      }
    }
    chunk.kernels->coded_attention->encode_queries(
        block_, vectors, rank_, rank_,
        Advance(out, first_vector + begin, rank_));
  }
}

void ExpandedCodes::BeginHead(const ExpandedChunk& chunk, int64_t head) {
  const ExpandedShape& shape = chunk.shape;
  const ExpandedHead& of_head = chunk.heads[head];
  EncodeColumns(chunk, of_head.w_uv, shape.v_dim, 0, MatrixOfHead(head));
  EncodeColumns(chunk, of_head.w_uk, shape.qk_nope, value_columns_,
                MatrixOfHead(head));
  std::fill_n(block_, kCodeQueries * key_columns_, 0.0f);
  for (int64_t row = 0; row < chunk.rows.rows; row += kCodeQueries) {
    const int64_t count =
        std::min<int64_t>(kCodeQueries, chunk.rows.rows - row);
    for (int64_t i = 0; i < count; ++i) {
      const float* q = of_head.q + (row + i) * of_head.q_stride;
      float* query = block_ + i * key_columns_;
      std::copy_n(q, shape.qk_nope, query);
      std::copy_n(q + shape.qk_nope, shape.rope_dim, query + nope_columns_);
    }
    chunk.kernels->coded_attention->encode_queries(
        block_, count, key_columns_, key_columns_,
        Advance(QueriesOfHead(head), row, key_columns_));
  }
}

void ExpandedCodes::BeginTile(const ExpandedChunk& chunk, ExpandedTile tile) {
  const int64_t row_bytes = chunk.cache->row_bytes();
  for (int64_t done = 0; done < tile.count; done += kPagePositions) {
    const int64_t count = std::min<int64_t>(kPagePositions, tile.count - done);
    std::memcpy(latents_ + done * row_bytes,
                ReadRows(chunk, tile.begin + done, count), count * row_bytes);
  }
  const int64_t stride = value_columns_ + key_columns_;
  for (int64_t p = 0; p < tile.count; ++p) {
    const std::byte* row = latents_ + p * row_bytes;
    float scale;
    std::memcpy(&scale, row, sizeof(scale));
    const std::byte* k_pe = row + CodedRows::kHeaderBytes + rank_;
    float* out = expanded_ + p * stride + value_columns_ + nope_columns_;
    for (int64_t i = 0; i < chunk.shape.rope_dim; ++i) {
      out[i] = scale * static_cast<float>(static_cast<int8_t>(k_pe[i]));
    }
    std::fill(out + chunk.shape.rope_dim, expanded_ + (p + 1) * stride, 0.0f);
  }
}

void ExpandedCodes::Expand(const ExpandedChunk& chunk, int64_t head,
                           ExpandedTile tile) {
  const KernelTable& kernels = *chunk.kernels;
  const std::byte* rows = latents_;
  ProjectArgs args;
  args.rows = {&rows, kExpandedTile, tile.count, chunk.shape.row_elements()};
  args.columns = rank_;
  args.matrix = MatrixOfHead(head);
  args.outputs = value_columns_ + nope_columns_;
  args.out = expanded_;
  args.out_stride = value_columns_ + key_columns_;
  kernels.coded_attention->project(args);

  for (int64_t p = 0; p < tile.count; ++p) {
    const float* value = expanded_ + p * args.out_stride;
    kernels.encode_latent(
        KvType::kQ8KV, value, value_columns_,
        value_rows_ + p * CodedRows::RowBytes(value_columns_));
    kernels.encode_latent(KvType::kQ8KV, value + value_columns_, key_columns_,
                          keys_ + p * CodedRows::RowBytes(key_columns_));
  }
  const std::byte* value_rows = value_rows_;
  kernels.coded_attention->pack_values(
      {&value_rows, kExpandedTile, tile.count, value_columns_}, value_columns_,
      values_, value_scales_);
}

void ExpandedCodes::Attend(const ExpandedChunk& chunk, int64_t head,
                           const SoftmaxState& state, ExpandedTile tile,
                           int64_t first_row) {
  const std::byte* keys = keys_;
  CodedTileArgs args;
  args.rows = {&keys, kExpandedTile, tile.count, key_columns_};
  args.visible_step = 1;
  args.value_elements = value_columns_;
  args.values = values_;
  args.value_scales = value_scales_;
  args.scale = chunk.shape.softmax_scale;
  for (int64_t row = first_row / kRowsAtOnce * kRowsAtOnce;
       row < chunk.rows.rows; row += kRowsAtOnce) {
    args.queries = std::min(kRowsAtOnce, chunk.rows.rows - row);
    args.q = Advance(QueriesOfHead(head), row, key_columns_);
    args.visible = chunk.rows.first_position + row + 1 - tile.begin;
    // What none of the rows sees need not be computed.
    args.rows.positions = std::min(args.visible + args.queries - 1, tile.count);
    args.state = {state.peak + row, state.sum + row,
                  state.out + row * value_columns_};
    chunk.kernels->coded_attention->attend(args);
  }
}

}  // namespace mlad
