#include "quant/code_planes.h"

#include <cstring>

namespace mlad {
namespace {

constexpr int kGroup = 4;  // columns of a row that lie together
constexpr int kGroupBytes = kGroup * kPanelRows;

// A plane of kBits bits a code: byte i of a row holds, from its low bits up,
// the codes of columns i, i + kStride, i + 2 kStride ...
template <int kBits>
struct Plane {
  static constexpr int kStride = kQuantBlock * kBits / 8;
  static constexpr int kCodesPerByte = 8 / kBits;
  static constexpr int kMask = (1 << kBits) - 1;

  // Stores bits [shift, shift + kBits) of the codes of a row.
  static void Put(const uint8_t* codes, int shift, std::byte* row) {
    uint8_t packed[kStride];
    for (int i = 0; i < kStride; ++i) {
      int byte = 0;
      for (int k = 0; k < kCodesPerByte; ++k) {
        byte |= (codes[k * kStride + i] >> shift & kMask) << (k * kBits);
      }
      packed[i] = static_cast<uint8_t>(byte);
    }
    for (int g = 0; g < kStride / kGroup; ++g) {
      std::memcpy(row + g * kGroupBytes, packed + g * kGroup, kGroup);
    }
  }

  // Adds them to the codes.
  static void Get(const std::byte* row, int shift, uint8_t* codes) {
    uint8_t packed[kStride];
    for (int g = 0; g < kStride / kGroup; ++g) {
      std::memcpy(packed + g * kGroup, row + g * kGroupBytes, kGroup);
    }
    for (int k = 0; k < kCodesPerByte; ++k) {
      for (int i = 0; i < kStride; ++i) {
        codes[k * kStride + i] |=
            static_cast<uint8_t>((packed[i] >> (k * kBits) & kMask) << shift);
      }
    }
  }
};

// Bytes of the first plane of a block.
int64_t LowPlaneBytes(const BlockFormat& format) {
  return kPanelRows * kQuantBlock * format.low_bits / 8;
}

}  // namespace

void PutRowCodes(const BlockFormat& format, int row, const uint8_t* codes,
                 std::byte* block) {
  std::byte* low = block + row * kGroup;
  switch (format.low_bits) {
    case 8:
      Plane<8>::Put(codes, 0, low);
      break;
    case 4:
      Plane<4>::Put(codes, 0, low);
      break;
    default:
      Plane<2>::Put(codes, 0, low);
      break;
  }
  if (format.high_bits == 1) {
    Plane<1>::Put(codes, format.low_bits, low + LowPlaneBytes(format));
  }
}

void GetRowCodes(const BlockFormat& format, const std::byte* block, int row,
                 uint8_t* codes) {
  std::memset(codes, 0, kQuantBlock);
  const std::byte* low = block + row * kGroup;
  switch (format.low_bits) {
    case 8:
      Plane<8>::Get(low, 0, codes);
      break;
    case 4:
      Plane<4>::Get(low, 0, codes);
      break;
    default:
      Plane<2>::Get(low, 0, codes);
      break;
  }
  if (format.high_bits == 1) {
    Plane<1>::Get(low + LowPlaneBytes(format), format.low_bits, codes);
  }
}

}  // namespace mlad
