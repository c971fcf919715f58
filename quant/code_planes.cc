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

// Where the top bits of a block of a format with a codebook are.
int64_t TopPlaneOffset(const BlockFormat& format) {
  return kPanelRows * kQuantBlock / format.grid_columns * format.index_bits / 8;
}

// Four bits of each of 16 rows in 8 bytes.
void PutRowNibble(int row, int nibble, std::byte* plane) {
  std::byte& byte = plane[row % 8];
  const int shift = row / 8 * 4;
  byte = (byte & ~(std::byte{15} << shift)) |
         static_cast<std::byte>(nibble << shift);
}

int GetRowNibble(const std::byte* plane, int row) {
  return static_cast<int>(plane[row % 8]) >> (row / 8 * 4) & 15;
}

// A bit of each of 4 or 8 things of a row, of 4 in nibbles.
void PutRowBits(int count, int row, int bits, std::byte* plane) {
  if (count == 4) {
    PutRowNibble(row, bits, plane);
  } else {
    plane[row] = static_cast<std::byte>(bits);
  }
}

int GetRowBits(int count, const std::byte* plane, int row) {
  return count == 4 ? GetRowNibble(plane, row) : static_cast<int>(plane[row]);
}

void GetRowIndices(const BlockFormat& format, const std::byte* block, int row,
                   uint16_t* indices) {
  const int count = kQuantBlock / format.grid_columns;
  for (int i = 0; i < count; ++i) {
    indices[i] = static_cast<uint16_t>(block[i * kPanelRows + row]);
  }
  const std::byte* plane = block + count * kPanelRows;
  int shift = 8;
  if (format.index_bits >= 10) {
    for (int i = 0; i < count; ++i) {
      const auto pairs = static_cast<int>(plane[i / 4 * kPanelRows + row]);
      indices[i] |= static_cast<uint16_t>((pairs >> (i % 4 * 2) & 3) << shift);
    }
    plane += count / 4 * kPanelRows;
    shift += 2;
  }
  if (format.index_bits % 2 == 1) {
    const int bits = GetRowBits(count, plane, row);
    for (int i = 0; i < count; ++i) {
      indices[i] |= static_cast<uint16_t>((bits >> i & 1) << shift);
    }
  }
}

// The codes of a row with a codebook.
void GetGridRowCodes(const BlockFormat& format, const std::byte* block, int row,
                     uint8_t* codes) {
  uint16_t indices[kMaxRowIndices];
  GetRowIndices(format, block, row, indices);
  const std::byte* top = block + TopPlaneOffset(format);
  std::memset(codes, 0, kQuantBlock);
  if (format.top_bit == TopBit::kEachColumn) {
    Plane<1>::Get(top + row * kGroup, kGridTopBit, codes);
  } else if (format.top_bit == TopBit::kEachEight) {
    const int bits = GetRowNibble(top, row);
    for (int c = 0; c < kQuantBlock; ++c) {
      codes[c] = static_cast<uint8_t>((bits >> (c / 8) & 1) << kGridTopBit);
    }
  }
  AddGridCodes(format, indices, kQuantBlock, codes);
}

}  // namespace

void AddGridCodes(const BlockFormat& format, const uint16_t* indices,
                  int columns, uint8_t* codes) {
  const uint32_t* entries = GridEntries(format.grid);
  for (int c = 0; c < columns; ++c) {
    const uint32_t entry = entries[indices[c / format.grid_columns]];
    const int at = c % format.grid_columns;
    codes[c] |= static_cast<uint8_t>(entry >> (at % 4 * 8 + at / 4 * 4) & 15);
  }
}

void PutRowIndices(const BlockFormat& format, int row, const uint16_t* indices,
                   const uint8_t* codes, std::byte* block) {
  const int count = kQuantBlock / format.grid_columns;
  for (int i = 0; i < count; ++i) {
    block[i * kPanelRows + row] = static_cast<std::byte>(indices[i] & 255);
  }
  std::byte* plane = block + count * kPanelRows;
  int shift = 8;
  if (format.index_bits >= 10) {
    for (int i = 0; i < count; i += 4) {
      int pairs = 0;
      for (int k = 0; k < 4; ++k) {
        pairs |= (indices[i + k] >> shift & 3) << (2 * k);
      }
      plane[i / 4 * kPanelRows + row] = static_cast<std::byte>(pairs);
    }
    plane += count / 4 * kPanelRows;
    shift += 2;
  }
  if (format.index_bits % 2 == 1) {
    int bits = 0;
    for (int i = 0; i < count; ++i) bits |= (indices[i] >> shift & 1) << i;
    PutRowBits(count, row, bits, plane);
  }
  std::byte* top = block + TopPlaneOffset(format);
  if (format.top_bit == TopBit::kEachColumn) {
    Plane<1>::Put(codes, kGridTopBit, top + row * kGroup);
  } else if (format.top_bit == TopBit::kEachEight) {
    int bits = 0;
    for (int i = 0; i < 4; ++i) bits |= (codes[8 * i] >> kGridTopBit & 1) << i;
    PutRowNibble(row, bits, top);
  }
}

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
  if (format.grid != Grid::kNone) {
    GetGridRowCodes(format, block, row, codes);
    return;
  }
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
