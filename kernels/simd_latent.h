// The codec of the latent cache over a vector type; quant/kv_type.h has the
// layouts. Only for files compiled for F16C.
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/kernel_contract.h"
#include "kernels/simd_elementwise.h"
#include "kernels/simd_quantize.h"

namespace mlad {
namespace {

inline constexpr int kLatentScaleBytes = 2;  // f16, before a block's codes
inline constexpr int kQ8BlockBytes = kLatentScaleBytes + kQuantBlock;
inline constexpr int kQ6BlockBytes = kLatentScaleBytes + kQuantBlock * 6 / 8;
inline constexpr int kQ8KvHeaderBytes = 8;  // f32 scale, int32 sum of codes
inline constexpr float kSmallestQ8KvScale = 0x1p-100f;

/// Stores n elements of kBytes bytes by store(bytes, whole vector).
template <class V, int kBytes, class Store>
[[gnu::always_inline]] inline void EncodeElements(const float* x, int64_t n,
                                                  std::byte* out,
                                                  const Store& store) {
  int64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) {
    store(out + i * kBytes, V::Load(x + i));
  }
  if (i < n) {
    std::byte last[V::kLanes * kBytes];
    store(last, V::LoadFirst(x + i, static_cast<int>(n - i)));
    __builtin_memcpy(out + i * kBytes, last, (n - i) * kBytes);
  }
}

/// Decodes n elements of kBytes bytes by load(bytes), which gives a vector.
template <class V, int kBytes, class Load>
[[gnu::always_inline]] inline void DecodeElements(const std::byte* in,
                                                  int64_t n, float* out,
                                                  const Load& load) {
  int64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) {
    V::Store(out + i, load(in + i * kBytes));
  }
  if (i < n) {
    std::byte last[V::kLanes * kBytes] = {};
    __builtin_memcpy(last, in + i * kBytes, (n - i) * kBytes);
    V::StoreFirst(out + i, static_cast<int>(n - i), load(last));
  }
}

/// Writes the f16 scale with which the block's peak has the code `codes`, NaN
/// when an x is not finite, and returns what x is multiplied by to give codes,
/// 0 where all codes shall be zero.
template <class V>
float StoreBlockScale(const float* x, float codes, std::byte* out) {
  const float peak = PeakMagnitude<V>(x, kQuantBlock);
  const float exact =
      peak <= kLargestFinite ? peak / codes : __builtin_nanf("");
  const uint16_t bits = _cvtss_sh(exact, _MM_FROUND_TO_NEAREST_INT);
  __builtin_memcpy(out, &bits, sizeof(bits));
  const float scale = _cvtsh_ss(bits);
  return scale > 0 && scale <= kLargestFinite ? 1 / scale : 0.0f;
}

inline float LoadBlockScale(const std::byte* block) {
  uint16_t bits;
  __builtin_memcpy(&bits, block, sizeof(bits));
  return _cvtsh_ss(bits);
}

/// Codes of x in [low, high]. An inverse of 0 gives zeros, even of infinities.
template <class V>
[[gnu::always_inline]] inline typename V::Reg Codes(typename V::Reg x,
                                                    float inverse, float low,
                                                    float high) {
  if (inverse == 0) return V::Zero();
  const auto scaled = V::Mul(x, V::Set(inverse));
  return V::Round(V::Min(V::Set(high), V::Max(V::Set(low), scaled)));
}

template <class V>
void EncodeQ8Block(const float* x, std::byte* out) {
  const float inverse = StoreBlockScale<V>(x, 127, out);
  for (int i = 0; i < kQuantBlock; i += V::kLanes) {
    V::StoreI8(out + kLatentScaleBytes + i,
               Codes<V>(V::Load(x + i), inverse, -127, 127));
  }
}

template <class V>
void DecodeQ8Block(const std::byte* block, float* out) {
  const auto scale = V::Set(LoadBlockScale(block));
  for (int i = 0; i < kQuantBlock; i += V::kLanes) {
    V::Store(out + i, V::Mul(scale, V::LoadI8(block + kLatentScaleBytes + i)));
  }
}

/// The codes' low nibbles of columns i and 16 + i share byte i of 16; their
/// upper bit pairs of columns i, 8 + i, 16 + i and 24 + i share byte i of 8.
template <class V>
void EncodeQ6Block(const float* x, std::byte* out) {
  const float inverse = StoreBlockScale<V>(x, 31, out);
  alignas(16) int8_t codes[kQuantBlock];
  for (int i = 0; i < kQuantBlock; i += V::kLanes) {
    V::StoreI8(codes + i, V::Add(V::Set(32.0f),
                                 Codes<V>(V::Load(x + i), inverse, -32, 31)));
  }
  const __m128i nibble = _mm_set1_epi8(0x0F);
  const __m128i pair = _mm_set1_epi8(0x30);
  const auto* halves = reinterpret_cast<const __m128i*>(codes);
  const __m128i first = _mm_load_si128(halves);
  const __m128i second = _mm_load_si128(halves + 1);
  const __m128i low =
      _mm_or_si128(_mm_and_si128(first, nibble),
                   _mm_slli_epi16(_mm_and_si128(second, nibble), 4));
  const __m128i first_pairs = _mm_and_si128(first, pair);
  const __m128i second_pairs = _mm_and_si128(second, pair);
  // Columns 0..7 and 16..23 in the lower eight bytes, 8..15 and 24..31 above.
  const __m128i pairs =
      _mm_or_si128(_mm_srli_epi16(first_pairs, 4), second_pairs);
  const __m128i high =
      _mm_or_si128(pairs, _mm_slli_epi16(_mm_srli_si128(pairs, 8), 2));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out + kLatentScaleBytes), low);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(out + kLatentScaleBytes + 16),
                   high);
}

template <class V>
void DecodeQ6Block(const std::byte* block, float* out) {
  const __m128i nibble = _mm_set1_epi8(0x0F);
  const __m128i pair = _mm_set1_epi8(0x30);
  const __m128i low = _mm_loadu_si128(
      reinterpret_cast<const __m128i*>(block + kLatentScaleBytes));
  const __m128i high = _mm_loadl_epi64(
      reinterpret_cast<const __m128i*>(block + kLatentScaleBytes + 16));
  const __m128i first_pairs =
      _mm_unpacklo_epi64(_mm_slli_epi16(high, 4), _mm_slli_epi16(high, 2));
  const __m128i second_pairs =
      _mm_unpacklo_epi64(high, _mm_srli_epi16(high, 2));
  alignas(16) uint8_t codes[kQuantBlock];
  auto* halves = reinterpret_cast<__m128i*>(codes);
  _mm_store_si128(halves, _mm_or_si128(_mm_and_si128(low, nibble),
                                       _mm_and_si128(first_pairs, pair)));
  _mm_store_si128(halves + 1,
                  _mm_or_si128(_mm_and_si128(_mm_srli_epi16(low, 4), nibble),
                               _mm_and_si128(second_pairs, pair)));
  const auto scale = V::Set(LoadBlockScale(block));
  for (int i = 0; i < kQuantBlock; i += V::kLanes) {
    const auto code = V::Sub(V::LoadU8(codes + i), V::Set(32.0f));
    V::Store(out + i, V::Mul(scale, code));
  }
}

template <class V>
void EncodeQ8Kv(const float* row, int64_t n, std::byte* out) {
  const float peak = PeakMagnitude<V>(row, n);
  float scale = peak <= kLargestFinite ? peak / 127 : __builtin_nanf("");
  if (scale < kSmallestQ8KvScale) scale = 0;
  const float inverse = scale > 0 ? 1 / scale : 0.0f;  // NaN: 0
  auto sums = V::Zero();  // of whole numbers below 2^24: exact
  EncodeElements<V, 1>(row, n, out + kQ8KvHeaderBytes,
                       [&](void* bytes, typename V::Reg x) {
                         const auto codes = Codes<V>(x, inverse, -127, 127);
                         V::StoreI8(bytes, codes);
                         sums = V::Add(sums, codes);
                       });
  const auto sum = static_cast<int32_t>(V::Sum(sums));
  __builtin_memcpy(out, &scale, sizeof(scale));
  __builtin_memcpy(out + sizeof(scale), &sum, sizeof(sum));
}

template <class V>
void DecodeQ8Kv(const std::byte* row, int64_t n, float* out) {
  float row_scale;
  __builtin_memcpy(&row_scale, row, sizeof(row_scale));
  const auto scale = V::Set(row_scale);
  DecodeElements<V, 1>(row + kQ8KvHeaderBytes, n, out, [&](const void* bytes) {
    return V::Mul(scale, V::LoadI8(bytes));
  });
}

template <class V>
void EncodeLatent(KvType type, const float* row, int64_t row_elements,
                  std::byte* out) noexcept {
  switch (type) {
    case KvType::kF16:
      EncodeElements<V, 2>(row, row_elements, out, V::StoreF16);
      break;
    case KvType::kBF16:
      EncodeElements<V, 2>(row, row_elements, out, V::StoreBf16);
      break;
    case KvType::kQ8_0:
      for (int64_t b = 0; b < row_elements / kQuantBlock; ++b) {
        EncodeQ8Block<V>(row + b * kQuantBlock, out + b * kQ8BlockBytes);
      }
      break;
    case KvType::kQ8KV:
      EncodeQ8Kv<V>(row, row_elements, out);
      break;
    case KvType::kQ6_0:
      for (int64_t b = 0; b < row_elements / kQuantBlock; ++b) {
        EncodeQ6Block<V>(row + b * kQuantBlock, out + b * kQ6BlockBytes);
      }
      break;
  }
}

/// Stored rows follow each other without a gap, so for all types but Q8_KV
/// `count` rows decode like one long row.
template <class V>
void DecodeLatent(KvType type, const std::byte* rows, int64_t count,
                  int64_t row_elements, float* out) noexcept {
  const int64_t n = count * row_elements;
  switch (type) {
    case KvType::kF16:
      DecodeElements<V, 2>(rows, n, out, V::LoadF16);
      break;
    case KvType::kBF16:
      DecodeElements<V, 2>(rows, n, out, V::LoadBf16);
      break;
    case KvType::kQ8_0:
      for (int64_t b = 0; b < n / kQuantBlock; ++b) {
        DecodeQ8Block<V>(rows + b * kQ8BlockBytes, out + b * kQuantBlock);
      }
      break;
    case KvType::kQ8KV:
      for (int64_t r = 0; r < count; ++r) {
        DecodeQ8Kv<V>(rows + r * (kQ8KvHeaderBytes + row_elements),
                      row_elements, out + r * row_elements);
      }
      break;
    case KvType::kQ6_0:
      for (int64_t b = 0; b < n / kQuantBlock; ++b) {
        DecodeQ6Block<V>(rows + b * kQ6BlockBytes, out + b * kQuantBlock);
      }
      break;
  }
}

}  // namespace
}  // namespace mlad
