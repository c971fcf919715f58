// The codec of the latent cache; quant/kv_type.h has the layouts.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/float16.h"
#include "kernels/scalar_kernels.h"
#include "kernels/scalar_peak.h"
#include "quant/packed_matrix.h"

namespace mlad::scalar {
namespace {

constexpr uint16_t kNanF16 = 0x7E00;
constexpr float kSmallestScale = 0x1p-100f;
constexpr int kQ8BlockBytes = 2 + kQuantBlock;
constexpr int kQ6BlockBytes = 2 + kQuantBlock * 6 / 8;

template <typename T>
T Load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

template <typename T>
void Store(T value, std::byte* at) {
  std::memcpy(at, &value, sizeof(value));
}

int RoundWithin(float value, float low, float high) {
  return static_cast<int>(std::lrintf(std::clamp(value, low, high)));
}

// f16 scale whose code `codes` is the peak of the block; NaN when an x is not
// finite.
uint16_t BlockScale(const float* x, float codes) {
  const float peak = PeakMagnitude(x, kQuantBlock);
  return std::isfinite(peak) ? F32ToF16(peak / codes) : kNanF16;
}

// What x is multiplied by to give codes; 0 where the codes shall be zero.
float InverseScale(float scale) {
  return std::isfinite(scale) && scale > 0 ? 1.0f / scale : 0.0f;
}

int Code(float x, float inverse, float low, float high) {
  return inverse == 0 ? 0 : RoundWithin(x * inverse, low, high);
}

void EncodeQ8Block(const float* x, std::byte* out) {
  const uint16_t scale = BlockScale(x, 127);
  const float inverse = InverseScale(F16ToF32(scale));
  Store(scale, out);
  for (int i = 0; i < kQuantBlock; ++i) {
    Store(static_cast<int8_t>(Code(x[i], inverse, -127, 127)), out + 2 + i);
  }
}

void DecodeQ8Block(const std::byte* block, float* out) {
  const float scale = F16ToF32(Load<uint16_t>(block));
  for (int i = 0; i < kQuantBlock; ++i) {
    out[i] = scale * static_cast<float>(Load<int8_t>(block + 2 + i));
  }
}

void EncodeQ6Block(const float* x, std::byte* out) {
  const uint16_t scale = BlockScale(x, 31);
  const float inverse = InverseScale(F16ToF32(scale));
  Store(scale, out);
  uint8_t codes[kQuantBlock];
  for (int i = 0; i < kQuantBlock; ++i) {
    codes[i] = static_cast<uint8_t>(32 + Code(x[i], inverse, -32, 31));
  }
  for (int i = 0; i < 16; ++i) {
    Store(static_cast<uint8_t>((codes[i] & 15) | (codes[16 + i] & 15) << 4),
          out + 2 + i);
  }
  for (int i = 0; i < 8; ++i) {
    int high = 0;
    for (int k = 0; k < 4; ++k) high |= codes[8 * k + i] >> 4 << (2 * k);
    Store(static_cast<uint8_t>(high), out + 18 + i);
  }
}

void DecodeQ6Block(const std::byte* block, float* out) {
  const float scale = F16ToF32(Load<uint16_t>(block));
  for (int i = 0; i < kQuantBlock; ++i) {
    const int low = Load<uint8_t>(block + 2 + i % 16) >> (i / 16 * 4) & 15;
    const int high = Load<uint8_t>(block + 18 + i % 8) >> (i / 8 * 2) & 3;
    out[i] = scale * static_cast<float>((low | high << 4) - 32);
  }
}

void EncodeQ8KV(const float* row, int64_t n, std::byte* out) {
  const float peak = PeakMagnitude(row, n);
  float scale = std::isfinite(peak) ? peak / 127
                                    : std::numeric_limits<float>::quiet_NaN();
  if (scale < kSmallestScale) scale = 0;
  const float inverse = InverseScale(scale);
  int32_t sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    const int code = Code(row[i], inverse, -127, 127);
    sum += code;
    Store(static_cast<int8_t>(code), out + 8 + i);
  }
  Store(scale, out);
  Store(sum, out + 4);
}

void DecodeQ8KV(const std::byte* row, int64_t n, float* out) {
  const auto scale = Load<float>(row);
  for (int64_t i = 0; i < n; ++i) {
    out[i] = scale * static_cast<float>(Load<int8_t>(row + 8 + i));
  }
}

}  // namespace

void EncodeLatent(KvType type, const float* row, int64_t row_elements,
                  std::byte* out) noexcept {
  switch (type) {
    case KvType::kF16:
      for (int64_t i = 0; i < row_elements; ++i) {
        Store(F32ToF16(row[i]), out + 2 * i);
      }
      break;
    case KvType::kBF16:
      for (int64_t i = 0; i < row_elements; ++i) {
        Store(F32ToBF16(row[i]), out + 2 * i);
      }
      break;
    case KvType::kQ8_0:
      for (int64_t b = 0; b < row_elements / kQuantBlock; ++b) {
        EncodeQ8Block(row + b * kQuantBlock, out + b * kQ8BlockBytes);
      }
      break;
    case KvType::kQ8KV:
      EncodeQ8KV(row, row_elements, out);
      break;
    case KvType::kQ6_0:
      for (int64_t b = 0; b < row_elements / kQuantBlock; ++b) {
        EncodeQ6Block(row + b * kQuantBlock, out + b * kQ6BlockBytes);
      }
      break;
  }
}

// Stored rows follow each other without a gap, so for all types but Q8_KV
// `count` rows decode like one long row.
void DecodeLatent(KvType type, const std::byte* rows, int64_t count,
                  int64_t row_elements, float* out) noexcept {
  const int64_t n = count * row_elements;
  switch (type) {
    case KvType::kF16:
      for (int64_t i = 0; i < n; ++i) {
        out[i] = F16ToF32(Load<uint16_t>(rows + 2 * i));
      }
      break;
    case KvType::kBF16:
      for (int64_t i = 0; i < n; ++i) {
        out[i] = BF16ToF32(Load<uint16_t>(rows + 2 * i));
      }
      break;
    case KvType::kQ8_0:
      for (int64_t b = 0; b < n / kQuantBlock; ++b) {
        DecodeQ8Block(rows + b * kQ8BlockBytes, out + b * kQuantBlock);
      }
      break;
    case KvType::kQ8KV:
      for (int64_t r = 0; r < count; ++r) {
        DecodeQ8KV(rows + r * (8 + row_elements), row_elements,
                   out + r * row_elements);
      }
      break;
    case KvType::kQ6_0:
      for (int64_t b = 0; b < n / kQuantBlock; ++b) {
        DecodeQ6Block(rows + b * kQ6BlockBytes, out + b * kQuantBlock);
      }
      break;
  }
}

}  // namespace mlad::scalar
