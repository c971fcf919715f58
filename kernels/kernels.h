// The kernels: one table of functions per instruction set, all with the same
// contract. Kernels are pure: no threads, no allocation, no NUMA.
//
// Every kernel gives each output element the same sequence of operations
// whatever the batch size or the range of rows it is called with (DESIGN
// invariant I2); different instruction sets may round differently.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "quant/kv_type.h"
#include "quant/packed_matrix.h"

namespace mlad {

enum class Isa : uint8_t { kScalar, kAvx2, kAvx512 };
std::string_view IsaName(Isa isa);  // "scalar", "avx2", "avx512"

/// One block of quantised activations: x[i] ~ scale * q[i], q of 16 bits, so
/// that matmuls are as exact as with f32 activations (relative error 2^-15 of
/// the block's peak). How q is laid out in `codes` is the table's own affair
/// (int16, or two planes of int8).
struct ActivationBlock {
  int8_t codes[2 * kQuantBlock];
};

/// Quantised activations [tokens, cols]; cols % kQuantBlock == 0.
/// blocks, scales and sums are [tokens, cols / kQuantBlock].
struct QuantizedActivations {
  ActivationBlock* blocks = nullptr;  // 64-byte aligned
  float* scales = nullptr;
  int32_t* sums = nullptr;  // sum of the block's q
};

/// What a matmul does with its results.
enum class Epilogue : uint8_t {
  kStore,      // out[row]  = dot
  kAdd,        // out[row] += dot
  kScaledAdd,  // out[row] = fma(scale[token], dot, out[row])
};

/// For i in [0, tokens), r in [panel_begin*16, min(panel_end*16, w.rows)):
///   dot = sum_c w[r][c] * x[x_rows ? x_rows[i] : i][c]
///   goes to out[(out_rows ? out_rows[i] : i) * out_stride + r] by `epilogue`.
struct MatMulArgs {
  PackedMatrix w;
  int64_t panel_begin = 0;
  int64_t panel_end = 0;
  int64_t tokens = 0;
  const float* x_f32 = nullptr;    // [tokens, cols]: float formats read this
  QuantizedActivations x_q;        // the other formats read this
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

/// Online-softmax state of `heads` heads over the positions seen so far:
/// peak [heads] largest score, -inf when none; sum [heads] of exp(s - peak);
/// out [heads, value_elements] sum of exp(s - peak) * value.
struct SoftmaxState {
  float* peak = nullptr;
  float* sum = nullptr;
  float* out = nullptr;
};

/// Absorbed attention of one query token against one tile of latent rows:
///   s[h][p] = scale * sum_c q[h][c] * rows[p][c]            (c < row_elements)
///   state  <- online softmax update with values rows[p][0 .. value_elements)
/// Positions are taken in ascending order.
struct AbsorbedTileArgs {
  int64_t heads = 0;
  int64_t positions = 0;      // <= kMaxTilePositions
  int64_t row_elements = 0;   // kv_lora_rank + qk_rope_head_dim
  int64_t value_elements = 0; // kv_lora_rank
  const float* q = nullptr;   // [heads, row_elements]
  const float* rows = nullptr;  // [positions, row_elements], decoded
  float scale = 0;
  SoftmaxState state;
};
inline constexpr int kMaxTilePositions = 64;

struct KernelTable {
  Isa isa;

  /// Quantises one token's row: out.* point at that row's first block.
  void (*quantize_activations)(const float* x, int64_t cols,
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
  /// Stores one latent row [row_elements] f32 as KvRowBytes(type) bytes.
  void (*encode_latent)(KvType type, const float* row, int64_t row_elements,
                        std::byte* out) noexcept;
  /// Decodes `count` consecutive stored rows to out [count, row_elements].
  void (*decode_latent)(KvType type, const std::byte* rows, int64_t count,
                        int64_t row_elements, float* out) noexcept;
  void (*absorbed_tile)(const AbsorbedTileArgs& args) noexcept;
};

/// Tables this binary was built with and this CPU can run, best first.
absl::Span<const KernelTable* const> SupportedKernels();

/// The table of that ISA. Errors: kFailedPrecondition when the CPU lacks it,
/// naming the missing instruction sets and the supported tables.
absl::StatusOr<const KernelTable*> FindKernels(Isa isa);

/// Parses the value of MLAD_ISA; empty means the best supported table.
/// Errors: kInvalidArgument for an unknown name, else as FindKernels.
absl::StatusOr<const KernelTable*> SelectKernels(std::string_view forced_isa);

}  // namespace mlad
