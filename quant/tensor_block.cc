#include "quant/tensor_block.h"

#include <cstring>

#include "base/check.h"
#include "quant/grid_block.h"

namespace mlad {
namespace {

uint16_t Load16(const uint8_t* bytes) {
  uint16_t value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

// Two columns a byte: the low nibbles are the first `bytes` columns.
void SplitNibbles(const uint8_t* packed, int bytes, uint8_t* codes) {
  for (int i = 0; i < bytes; ++i) {
    codes[i] = packed[i] & 15;
    codes[bytes + i] = packed[i] >> 4;
  }
}

// Q8_0: f16 d; i8 q[32].
void SplitQ8_0(const uint8_t* source, TensorBlock* out) {
  out->d = Load16(source);
  for (int i = 0; i < 32; ++i) out->codes[i] = source[2 + i] ^ 0x80;
}

// Q4_0, IQ4_NL: f16 d; u8 q[16], the high nibbles are columns 16..31.
void SplitQ4(const uint8_t* source, TensorBlock* out) {
  out->d = Load16(source);
  SplitNibbles(source + 2, 16, out->codes);
}

// MXFP4: u8 e; u8 q[16] as Q4_0.
void SplitMXFP4(const uint8_t* source, TensorBlock* out) {
  out->d = source[0];
  SplitNibbles(source + 1, 16, out->codes);
}

// The minimum is added in the file and subtracted in a packed matrix.
uint16_t Negate(uint16_t half) { return half ^ 0x8000; }

// The fifth bit of codes 0..31 is in bits 0..31 of 4 bytes.
void AddFifthBits(const uint8_t* bits, uint8_t* codes) {
  for (int i = 0; i < 32; ++i) {
    codes[i] |= static_cast<uint8_t>((bits[i / 8] >> (i % 8) & 1) << 4);
  }
}

// Q4_1: f16 d, m; u8 q[16] as Q4_0.
void SplitQ4_1(const uint8_t* source, TensorBlock* out) {
  out->d = Load16(source);
  out->n = Negate(Load16(source + 2));
  SplitNibbles(source + 4, 16, out->codes);
}

// Q5_0: f16 d; u8 top[4]; u8 q[16] as Q4_0.
void SplitQ5_0(const uint8_t* source, TensorBlock* out) {
  out->d = Load16(source);
  SplitNibbles(source + 6, 16, out->codes);
  AddFifthBits(source + 2, out->codes);
}

// Q5_1: f16 d, m; u8 top[4]; u8 q[16] as Q4_0.
void SplitQ5_1(const uint8_t* source, TensorBlock* out) {
  out->d = Load16(source);
  out->n = Negate(Load16(source + 2));
  SplitNibbles(source + 8, 16, out->codes);
  AddFifthBits(source + 4, out->codes);
}

// The 8 pairs of 6-bit scale and minimum of Q4_K, in 12 bytes: pairs 0..3 in
// the low 6 bits of bytes 0..3 and 4..7; of pairs 4..7 the low 4 bits in the
// nibbles of bytes 8..11 and the high 2 bits on top of bytes 0..3 and 4..7.
void SplitSixBitPairs(const uint8_t* packed, uint8_t* s, uint8_t* m) {
  for (int i = 0; i < 4; ++i) {
    s[i] = packed[i] & 63;
    m[i] = packed[4 + i] & 63;
    s[4 + i] =
        static_cast<uint8_t>((packed[8 + i] & 15) | (packed[i] >> 6 << 4));
    m[4 + i] =
        static_cast<uint8_t>((packed[8 + i] >> 4) | (packed[4 + i] >> 6 << 4));
  }
}

// Q4_K: f16 d, n; 12 bytes of scales and minima; u8 q[128]: every 32 bytes hold
// 64 columns, the high nibbles the second 32.
void SplitQ4_K(const uint8_t* source, TensorBlock* out) {
  out->d = Load16(source);
  out->n = Load16(source + 2);
  SplitSixBitPairs(source + 4, out->s, out->m);
  for (int i = 0; i < 4; ++i) {
    SplitNibbles(source + 16 + 32 * i, 32, out->codes + 64 * i);
  }
}

// One bit a column, to become bit `position` of its code: column 32 k + i in
// bit k of byte i.
void AddTopBits(const uint8_t* packed, int position, uint8_t* codes) {
  for (int k = 0; k < 8; ++k) {
    for (int i = 0; i < 32; ++i) {
      codes[32 * k + i] |=
          static_cast<uint8_t>((packed[i] >> k & 1) << position);
    }
  }
}

// Q5_K: as Q4_K with u8 top[32] before q.
void SplitQ5_K(const uint8_t* source, TensorBlock* out) {
  out->d = Load16(source);
  out->n = Load16(source + 2);
  SplitSixBitPairs(source + 4, out->s, out->m);
  for (int i = 0; i < 4; ++i) {
    SplitNibbles(source + 48 + 32 * i, 32, out->codes + 64 * i);
  }
  AddTopBits(source + 16, 4, out->codes);
}

// Two bits a column: column 128 h + 32 k + i in bits 2 k of byte 32 h + i.
void SplitPairsOfBits(const uint8_t* packed, uint8_t* codes) {
  for (int h = 0; h < 2; ++h) {
    for (int k = 0; k < 4; ++k) {
      for (int i = 0; i < 32; ++i) {
        codes[128 * h + 32 * k + i] = packed[32 * h + i] >> (2 * k) & 3;
      }
    }
  }
}

// Q2_K: u8 scales[16], the minimum in the high nibble; u8 q[64]; f16 d, n.
void SplitQ2_K(const uint8_t* source, TensorBlock* out) {
  for (int i = 0; i < 16; ++i) {
    out->s[i] = source[i] & 15;
    out->m[i] = source[i] >> 4;
  }
  SplitPairsOfBits(source + 16, out->codes);
  out->d = Load16(source + 80);
  out->n = Load16(source + 82);
}

// Q3_K: u8 top[32]; u8 q[64]; 12 bytes of scales; f16 d. The 16 scales have 6
// bits, offset 32: the low 4 of scale i in byte i % 8, nibble i / 8, the high 2
// in byte 8 + i % 4, bits 2 (i / 4).
void SplitQ3_K(const uint8_t* source, TensorBlock* out) {
  SplitPairsOfBits(source + 32, out->codes);
  AddTopBits(source, 2, out->codes);
  const uint8_t* scales = source + 96;
  for (int i = 0; i < 16; ++i) {
    const int low = scales[i % 8] >> (i / 8 * 4) & 15;
    const int high = scales[8 + i % 4] >> (i / 4 * 2) & 3;
    out->s[i] = static_cast<uint8_t>((low | high << 4) - 32);
  }
  out->d = Load16(source + 108);
}

// IQ4_XS: f16 d; u16 high bits and u8 low[4] of 8 scales of 6 bits, offset 32;
// u8 q[128], every 16 bytes like Q4_0.
void SplitIQ4_XS(const uint8_t* source, TensorBlock* out) {
  out->d = Load16(source);
  const uint16_t high_bits = Load16(source + 2);
  for (int i = 0; i < 8; ++i) {
    const int low = source[4 + i / 2] >> (i % 2 * 4) & 15;
    const int high = high_bits >> (2 * i) & 3;
    out->s[i] = static_cast<uint8_t>((low | high << 4) - 32);
    SplitNibbles(source + 8 + 16 * i, 16, out->codes + 32 * i);
  }
}

// Q6_K: u8 low[128], high[64]; i8 s[16]; f16 d. For each half of 128 columns,
// 64 bytes of low and 32 of high: column 32 k + i has its low 4 bits in byte 32
// (k % 2) + i, nibble k / 2, and its high 2 bits in byte i, bits 2 k.
void SplitQ6_K(const uint8_t* source, TensorBlock* out) {
  for (int half = 0; half < 2; ++half) {
    const uint8_t* low = source + 64 * half;
    const uint8_t* high = source + 128 + 32 * half;
    for (int k = 0; k < 4; ++k) {
      for (int i = 0; i < 32; ++i) {
        const int nibble = low[32 * (k % 2) + i] >> (k / 2 * 4) & 15;
        const int top = high[i] >> (2 * k) & 3;
        out->codes[128 * half + 32 * k + i] =
            static_cast<uint8_t>(nibble | top << 4);
      }
    }
  }
  std::memcpy(out->s, source + 192, 16);
  out->d = Load16(source + 208);
}

}  // namespace

void SplitTensorBlock(TensorType type, const std::byte* source,
                      TensorBlock* out) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(source);
  switch (type) {
    case TensorType::kQ8_0:
      return SplitQ8_0(bytes, out);
    case TensorType::kQ4_0:
    case TensorType::kIQ4_NL:
      return SplitQ4(bytes, out);
    case TensorType::kQ4_1:
      return SplitQ4_1(bytes, out);
    case TensorType::kQ5_0:
      return SplitQ5_0(bytes, out);
    case TensorType::kQ5_1:
      return SplitQ5_1(bytes, out);
    case TensorType::kQ2_K:
      return SplitQ2_K(bytes, out);
    case TensorType::kQ3_K:
      return SplitQ3_K(bytes, out);
    case TensorType::kQ4_K:
      return SplitQ4_K(bytes, out);
    case TensorType::kQ5_K:
      return SplitQ5_K(bytes, out);
    case TensorType::kIQ4_XS:
      return SplitIQ4_XS(bytes, out);
    case TensorType::kQ6_K:
      return SplitQ6_K(bytes, out);
    case TensorType::kMXFP4:
      return SplitMXFP4(bytes, out);
    case TensorType::kIQ1_S:
    case TensorType::kIQ1_M:
    case TensorType::kIQ2_XXS:
    case TensorType::kIQ2_XS:
    case TensorType::kIQ2_S:
    case TensorType::kIQ3_XXS:
    case TensorType::kIQ3_S:
      return SplitGridBlock(type, bytes, out);
    case TensorType::kF32:
    case TensorType::kF16:
    case TensorType::kBF16:
      break;
  }
  MLAD_CHECK(false && "not a quantised tensor type");
}

}  // namespace mlad
