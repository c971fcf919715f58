// The kernels: one table of functions per instruction set, all with the same
// contract. Kernels are pure: no threads, no allocation, no NUMA.
//
// Every kernel gives each output element the same sequence of operations
// whatever the batch size or the range of rows it is called with (DESIGN
// invariant I2); different instruction sets may round differently.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/coded_attention.h"
#include "kernels/softmax_state.h"
#include "quant/packed_matrix.h"
#include "quant/type_ids.h"

namespace mlad {

enum class Isa : uint8_t { kScalar, kAvx2, kAvx512, kAmx };
inline constexpr Isa kAllIsas[] = {Isa::kScalar, Isa::kAvx2, Isa::kAvx512,
                                   Isa::kAmx};

/// Largest magnitude of a quantised activation: 127 * 256 + 127, so that
/// q = 256 * hi + lo with int8 hi and lo = int8(q & 255).
inline constexpr int32_t kActivationPeak = 32639;

/// One block of quantised activations: x[i] ~ scale * q[i], q of 16 bits, so
/// that matmuls are as exact as with f32 activations (error 2^-16 of the
/// block's peak). q[i] = 256 * high[i] + low[i], low[i] = int8(q[i] & 255).
///
/// Every table makes the same scales, q and sums (all arithmetic in f32, each
/// operation rounded to nearest even), so the quantised rows of one table are
/// valid for the others:
///   peak  = max |x[i]| over the block's 32 values
///   scale = peak / kActivationPeak
///   q[i]  = nearest integer, ties to even, of x[i] * (kActivationPeak / peak)
/// A row of 8 bits (ActivationBits::k8) has low[i] = 0 throughout, and one
/// scale for kNarrowBlocks blocks in a row (fewer at its end), so that matmuls
/// scale once what they sum over these:
///   peak  = max |x[i]| over the values of these blocks
///   scale = peak / 127 / 256;  high[i] = nearest integer of x[i] * (127 /
///   peak)
/// Values whose peak is below kSmallestActivation have scale = 0 and q = 0;
/// values with an infinity or a NaN among them have scale = NaN and q = 0.
struct ActivationBlock {
  int8_t high[kQuantBlock];
  int8_t low[kQuantBlock];
};
inline constexpr float kSmallestActivation = 0x1p-100f;
inline constexpr int64_t kNarrowBlocks = 8;

/// Sums of a block's q over columns 0..15 and 16..31.
struct ActivationSums {
  int32_t half[2];
};

/// How exactly a token's activations are quantised. Products of 8 bits take
/// half the time: complete chunks of a prompt have them (DESIGN invariant I2: a
/// function of the position only), what is generated has 16. What a matmul
/// computes follows from the codes alone.
enum class ActivationBits : uint8_t { k16, k8 };

/// Quantised activations [tokens, cols]; cols % kQuantBlock == 0.
/// blocks, scales and sums are [tokens, cols / kQuantBlock].
struct QuantizedActivations {
  ActivationBlock* blocks = nullptr;  // 64-byte aligned
  float* scales = nullptr;
  ActivationSums* sums = nullptr;
  ActivationBits* bits = nullptr;  // [tokens]
};

/// What a matmul does with its results.
enum class Epilogue : uint8_t {
  kStore,      // out[row]  = dot
  kAdd,        // out[row] += dot
  kScaledAdd,  // out[row] = fma(scale[token], dot, out[row])
};

/// The quantised formats compute exact integer dot products over the columns
/// that share a scale, and sum them in f32 in ascending order of the columns;
/// the float formats sum over the columns in ascending order.
///
/// For i in [0, tokens), r in [panel_begin*16, min(panel_end*16, w.rows)):
///   dot = sum_c w[r][c] * x[x_rows ? x_rows[i] : i][c]
///   goes to out[(out_rows ? out_rows[i] : i) * out_stride + r] by `epilogue`.
struct MatMulArgs {
  PackedMatrix w;
  int64_t panel_begin = 0;
  int64_t panel_end = 0;
  int64_t tokens = 0;
  const float* x_f32 = nullptr;  // [tokens, cols]: float formats read this
  QuantizedActivations x_q;      // the other formats read this
  const int32_t* x_rows = nullptr;
  const int32_t* out_rows = nullptr;
  const float* scale = nullptr;  // [tokens], kScaledAdd only
  Epilogue epilogue = Epilogue::kStore;
  float* out = nullptr;
  int64_t out_stride = 0;  // floats
};

/// True when a matrix of this format multiplies f32 activations (x_f32),
/// false when it needs quantised ones (x_q).
bool ReadsFloatActivations(PackedFormat format);

struct GemmArgs {
  int64_t m = 0, n = 0, k = 0;
  const float* a = nullptr;  // [m, k], row stride lda
  int64_t lda = 0;
  const float* b = nullptr;  // [k, n], row stride ldb
  int64_t ldb = 0;
  float* c = nullptr;  // [m, n], row stride ldc
  int64_t ldc = 0;
  bool accumulate = false;  // c += a b, else c = a b
};

/// Absorbed attention of one query token against one tile of latent rows:
///   s[h][p] = scale * sum_c q[h][c] * rows[p][c]            (c < row_elements)
///   state  <- online softmax update with values rows[p][0 .. value_elements)
/// Positions are taken in ascending order.
struct AbsorbedTileArgs {
  int64_t heads = 0;
  int64_t positions = 0;        // <= kMaxTilePositions
  int64_t row_elements = 0;     // kv_lora_rank + qk_rope_head_dim
  int64_t value_elements = 0;   // kv_lora_rank
  const float* q = nullptr;     // [heads, row_elements]
  const float* rows = nullptr;  // [positions, row_elements], decoded
  float scale = 0;
  SoftmaxState state;
};
inline constexpr int kMaxTilePositions = 64;

struct KernelTable {
  Isa isa;

  /// Quantises one token's row: out.* point at that row's first block.
  void (*quantize_activations)(const float* x, int64_t cols,
                               ActivationBits bits,
                               const QuantizedActivations& out) noexcept;
  void (*matmul)(const MatMulArgs& args) noexcept;
  /// c (+)= a b in f32; every c element is summed over k in ascending order.
  void (*gemm)(const GemmArgs& args) noexcept;
  /// out[i] = x[i] / sqrt(mean(x^2) + epsilon) * weight[i]
  void (*rms_norm)(const float* x, const float* weight, int64_t n,
                   float epsilon, float* out) noexcept;
  /// out[i] = gate[i] / (1 + exp(-gate[i])) * up[i]; out may be gate.
  void (*silu_mul)(const float* gate, const float* up, int64_t n,
                   float* out) noexcept;
  /// Online-softmax update of one query row: scores [n] are turned into
  /// exp(s - new peak) in place, *sum and *peak are updated, and the factor
  /// exp(old peak - new peak) by which older output must be scaled is
  /// returned. Scores of -inf give 0; n positions all -inf change nothing.
  float (*softmax_update)(float* scores, int64_t n, float* peak,
                          float* sum) noexcept;
  /// out[i] *= factor
  void (*scale)(float* out, int64_t n, float factor) noexcept;
  /// out[i] = fma(factor, x[i], out[i]), as Epilogue::kScaledAdd does.
  void (*scaled_add)(const float* x, int64_t n, float factor,
                     float* out) noexcept;
  /// Stores one latent row [row_elements] f32 as KvRowBytes(type) bytes, which
  /// are the same for every table (quant/kv_type.h).
  void (*encode_latent)(KvType type, const float* row, int64_t row_elements,
                        std::byte* out) noexcept;
  /// Decodes `count` consecutive stored rows to out [count, row_elements].
  void (*decode_latent)(KvType type, const std::byte* rows, int64_t count,
                        int64_t row_elements, float* out) noexcept;
  void (*absorbed_tile)(const AbsorbedTileArgs& args) noexcept;
  /// Null in tables where decoding Q8_KV rows is faster.
  const CodedAttention* coded_attention;

  /// What a core can do at most with this table's instructions: `rounds` rounds
  /// of products that do not wait for each other and touch no memory. They
  /// return the operations done, a multiplication and an addition counting one
  /// each; the same number every round.
  int64_t (*peak_int8)(int64_t rounds) noexcept;  // summed in int32
  int64_t (*peak_f32)(int64_t rounds) noexcept;
};

}  // namespace mlad
