// The scales of blocks as a file stores them: see tensor_block.h.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/float16.h"
#include "quant/tensor_block.h"

namespace mlad {
namespace {

void Put16(uint16_t value, std::byte* at) {
  std::memcpy(at, &value, sizeof(value));
}

// Nibble k of d is the top nibble of word k of scales.
void PutIq1MScale(uint16_t d, std::byte* scales) {
  for (int k = 0; k < 4; ++k) {
    std::byte& top = scales[2 * k + 1];
    top =
        (top & std::byte{15}) | static_cast<std::byte>((d >> 4 * k & 15) << 4);
  }
}

}  // namespace

uint16_t BlockScaleBits(TensorType type, float scale) {
  if (type != TensorType::kMXFP4) return F32ToF16(scale);
  if (!(scale > 0)) return 0;
  const float exponent = std::round(std::log2(scale)) + 128;
  return static_cast<uint16_t>(std::clamp(exponent, 0.0f, 255.0f));
}

void PutBlockScales(TensorType type, uint16_t d, uint16_t n, std::byte* block) {
  switch (type) {
    case TensorType::kMXFP4:
      block[0] = static_cast<std::byte>(d);
      return;
    case TensorType::kIQ1_M:
      return PutIq1MScale(d, block + 48);
    case TensorType::kQ2_K:
      Put16(n, block + 82);
      return Put16(d, block + 80);
    case TensorType::kQ3_K:
      return Put16(d, block + 108);
    case TensorType::kQ6_K:
      return Put16(d, block + 208);
    case TensorType::kQ4_1:
    case TensorType::kQ5_1:
      Put16(n ^ 0x8000, block + 2);  // added in the file
      return Put16(d, block);
    case TensorType::kQ4_K:
    case TensorType::kQ5_K:
      Put16(n, block + 2);
      return Put16(d, block);
    default:
      return Put16(d, block);
  }
}

}  // namespace mlad
