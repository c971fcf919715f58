#include "quant/grid_block.h"

#include <cstring>

#include "base/check.h"
#include "quant/block_format.h"
#include "quant/code_planes.h"

namespace mlad {
namespace {

constexpr int kBlocks = kSuperBlock / kQuantBlock;

template <typename T>
T Load(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

// Bit i of `bits` becomes the top bit of codes[i].
void PutTopBits(uint8_t bits, uint8_t* codes) {
  for (int i = 0; i < 8; ++i) {
    codes[i] = static_cast<uint8_t>((bits >> i & 1) << kGridTopBit);
  }
}

// Signs of 8 columns in 7 bits: an even number of them is negative.
uint8_t EvenSigns(uint32_t seven_bits) {
  const auto bits = static_cast<uint8_t>(seven_bits & 127);
  return static_cast<uint8_t>(bits | (__builtin_popcount(bits) & 1) << 7);
}

// IQ1_S: f16 d; u8 low[32]; u16 high[8]. For each 32 columns, 4 indices of 11
// bits, the top 3 of index i in bits 3 i of high; s in its bits 12 to 14, the
// sign of the shift by 1/8 on top.
void SplitIQ1_S(const uint8_t* source, TensorBlock* out) {
  out->d = Load<uint16_t>(source);
  for (int b = 0; b < kBlocks; ++b) {
    const int high = Load<uint16_t>(source + 34 + 2 * b);
    for (int i = 0; i < 4; ++i) {
      out->indices[4 * b + i] = static_cast<uint16_t>(source[2 + 4 * b + i] |
                                                      (high >> 3 * i & 7) << 8);
      PutTopBits(high >> 15 != 0 ? 255 : 0, out->codes + 32 * b + 8 * i);
    }
    out->s[b] = high >> 12 & 7;
  }
}

// IQ1_M: u8 low[32]; u8 high[16]; u16 scales[4]. Index i has its top 3 bits in
// nibble i of high, whose top bit is the sign of the shift by 1/8. A word of
// scales has 4 s of 3 bits, for 16 columns each; the words' top 4 bits are d.
void SplitIQ1_M(const uint8_t* source, TensorBlock* out) {
  const uint8_t* scales = source + 48;
  int d = 0;
  for (int k = 0; k < 4; ++k) {
    const int word = Load<uint16_t>(scales + 2 * k);
    d |= word >> 12 << 4 * k;
    for (int i = 0; i < 4; ++i) out->s[4 * k + i] = word >> 3 * i & 7;
  }
  out->d = static_cast<uint16_t>(d);
  for (int i = 0; i < 32; ++i) {
    const int high = source[32 + i / 2] >> (i % 2 * 4) & 15;
    out->indices[i] = static_cast<uint16_t>(source[i] | (high & 7) << 8);
    PutTopBits(high >> 3 != 0 ? 255 : 0, out->codes + 8 * i);
  }
}

// IQ2_XXS: f16 d; for each 32 columns u8 index[4] and a u32 with 4 times 7
// signs, s on top.
void SplitIQ2_XXS(const uint8_t* source, TensorBlock* out) {
  out->d = Load<uint16_t>(source);
  for (int b = 0; b < kBlocks; ++b) {
    const uint8_t* block = source + 2 + 8 * b;
    const auto word = Load<uint32_t>(block + 4);
    for (int i = 0; i < 4; ++i) {
      out->indices[4 * b + i] = block[i];
      PutTopBits(EvenSigns(word >> 7 * i), out->codes + 32 * b + 8 * i);
    }
    out->s[b] = static_cast<uint8_t>(word >> 28);
  }
}

// IQ2_XS: f16 d; u16 q[32], 9 bits of index and 7 signs above; u8 scales[8],
// two s of 16 columns each.
void SplitIQ2_XS(const uint8_t* source, TensorBlock* out) {
  out->d = Load<uint16_t>(source);
  for (int i = 0; i < 32; ++i) {
    const auto word = Load<uint16_t>(source + 2 + 2 * i);
    out->indices[i] = word & 511;
    PutTopBits(EvenSigns(word >> 9), out->codes + 8 * i);
  }
  for (int i = 0; i < 16; ++i) {
    out->s[i] = source[66 + i / 2] >> (i % 2 * 4) & 15;
  }
}

// IQ2_S: f16 d; u8 low[32]; u8 signs[32]; u8 high[8], the top 2 bits of 4
// indices each; u8 scales[8] as IQ2_XS.
void SplitIQ2_S(const uint8_t* source, TensorBlock* out) {
  out->d = Load<uint16_t>(source);
  for (int i = 0; i < 32; ++i) {
    const int high = source[66 + i / 4] >> (i % 4 * 2) & 3;
    out->indices[i] = static_cast<uint16_t>(source[2 + i] | high << 8);
    PutTopBits(source[34 + i], out->codes + 8 * i);
  }
  for (int i = 0; i < 16; ++i) {
    out->s[i] = source[74 + i / 2] >> (i % 2 * 4) & 15;
  }
}

// IQ3_XXS: f16 d; u8 index[64]; for each 32 columns a u32 as in IQ2_XXS.
void SplitIQ3_XXS(const uint8_t* source, TensorBlock* out) {
  out->d = Load<uint16_t>(source);
  for (int i = 0; i < 64; ++i) out->indices[i] = source[2 + i];
  for (int b = 0; b < kBlocks; ++b) {
    const auto word = Load<uint32_t>(source + 66 + 4 * b);
    for (int i = 0; i < 4; ++i) {
      PutTopBits(EvenSigns(word >> 7 * i), out->codes + 32 * b + 8 * i);
    }
    out->s[b] = static_cast<uint8_t>(word >> 28);
  }
}

// IQ3_S: f16 d; u8 low[64]; u8 high[8], the top bit of 8 indices each; u8
// signs[32]; u8 scales[4], two s of 32 columns each.
void SplitIQ3_S(const uint8_t* source, TensorBlock* out) {
  out->d = Load<uint16_t>(source);
  for (int i = 0; i < 64; ++i) {
    const int high = source[66 + i / 8] >> i % 8 & 1;
    out->indices[i] = static_cast<uint16_t>(source[2 + i] | high << 8);
  }
  for (int i = 0; i < 32; ++i) PutTopBits(source[74 + i], out->codes + 8 * i);
  for (int b = 0; b < kBlocks; ++b) {
    out->s[b] = source[106 + b / 2] >> (b % 2 * 4) & 15;
  }
}

void SplitFields(TensorType type, const uint8_t* source, TensorBlock* out) {
  switch (type) {
    case TensorType::kIQ1_S:
      return SplitIQ1_S(source, out);
    case TensorType::kIQ1_M:
      return SplitIQ1_M(source, out);
    case TensorType::kIQ2_XXS:
      return SplitIQ2_XXS(source, out);
    case TensorType::kIQ2_XS:
      return SplitIQ2_XS(source, out);
    case TensorType::kIQ2_S:
      return SplitIQ2_S(source, out);
    case TensorType::kIQ3_XXS:
      return SplitIQ3_XXS(source, out);
    case TensorType::kIQ3_S:
      return SplitIQ3_S(source, out);
    default:
      MLAD_CHECK(false && "not a type with a codebook");
  }
}

}  // namespace

void SplitGridBlock(TensorType type, const uint8_t* source, TensorBlock* out) {
  SplitFields(type, source, out);
  AddGridCodes(GetBlockFormat(PackedFormatFor(type)), out->indices, kSuperBlock,
               out->codes);
}

}  // namespace mlad
