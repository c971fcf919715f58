#include "model/byte_level.h"

#include <array>
#include <cstddef>
#include <cstdint>

#include "model/utf8.h"

namespace mlad {
namespace {

constexpr size_t kCharacters = 0x144;  // U+0000 to U+0143
constexpr int16_t kNoByte = -1;

constexpr bool StandsForItself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) ||
         (byte >= 0xAE && byte <= 0xFF);
}

constexpr std::array<int16_t, kCharacters> MakeByteOfCharacter() {
  std::array<int16_t, kCharacters> table{};
  for (int16_t& byte : table) byte = kNoByte;
  size_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const size_t character =
        StandsForItself(byte) ? static_cast<size_t>(byte) : next++;
    table[character] = static_cast<int16_t>(byte);
  }
  return table;
}

constexpr std::array<int16_t, kCharacters> kByteOfCharacter =
    MakeByteOfCharacter();

}  // namespace

std::optional<std::string> BytesOfSpelling(std::string_view spelling) {
  std::string bytes;
  while (!spelling.empty()) {
    const Utf8Step step = FirstUtf8(spelling);
    // The alphabet's characters take one or two bytes.
    if (step.kind != Utf8Kind::kCharacter || step.bytes > 2) return {};
    size_t character = static_cast<uint8_t>(spelling[0]);
    if (step.bytes == 2) {
      character =
          (character & 0x1F) << 6 | (static_cast<uint8_t>(spelling[1]) & 0x3F);
    }
    if (character >= kCharacters || kByteOfCharacter[character] == kNoByte) {
      return {};
    }
    bytes.push_back(static_cast<char>(kByteOfCharacter[character]));
    spelling.remove_prefix(step.bytes);
  }
  return bytes;
}

}  // namespace mlad
