// Any text through a good tokenizer, and through any tokenizer that the reader
// accepts: ids are in the vocabulary and decode to the text.
//
// Input: length of the text (2 bytes, little endian), text, GGUF file.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "tests/model/tiny_model.h"

#include "base/check.h"
#include "model/gguf_file.h"
#include "model/tokenizer.h"

namespace mlad {
namespace {

/// The vocabulary may lack bytes that no UTF-8 text has: texts with them are
/// not preserved.
bool KeepsEveryByte(const Tokenizer& tokenizer) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text(1, static_cast<char>(byte));
    const std::vector<int32_t> ids =
        tokenizer.Encode(text, {.add_bos = false, .parse_special = false});
    if (tokenizer.Decode(ids, true) != text) return false;
  }
  return true;
}

void RoundTrip(const Tokenizer& tokenizer, std::string_view text,
               bool keeps_every_byte) {
  for (const bool parse_special : {false, true}) {
    const std::vector<int32_t> ids = tokenizer.Encode(
        text, {.add_bos = false, .parse_special = parse_special});
    StreamingDetokenizer streaming(tokenizer);
    for (const int32_t id : ids) {
      MLAD_CHECK(id >= 0 && id < tokenizer.vocab_size());
      streaming.Add(id);
    }
    streaming.Flush();
    if (keeps_every_byte) MLAD_CHECK(tokenizer.Decode(ids, true) == text);
  }
}

std::unique_ptr<Tokenizer> MakeTinyTokenizer() {
  TinyModelOptions options;
  options.vocab = 500;
  const std::vector<std::byte> header = TinyModel(options).BuildHeader();
  const auto file = GgufFile::Parse(header, {.header_only = true});
  MLAD_CHECK(file.ok());
  auto tokenizer = Tokenizer::Create(**file);
  MLAD_CHECK(tokenizer.ok());
  return *std::move(tokenizer);
}

}  // namespace
}  // namespace mlad

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const mlad::Tokenizer& tiny = *mlad::MakeTinyTokenizer().release();
  uint16_t length = 0;
  if (size < sizeof length) return 0;
  std::memcpy(&length, data, sizeof length);
  const std::string_view rest(reinterpret_cast<const char*>(data) + 2,
                              size - 2);
  const std::string_view text = rest.substr(0, length);
  mlad::RoundTrip(tiny, text, /*keeps_every_byte=*/true);

  const std::string_view gguf = rest.substr(text.size());
  const auto file = mlad::GgufFile::Parse(
      {reinterpret_cast<const std::byte*>(gguf.data()), gguf.size()},
      {.header_only = true});
  if (!file.ok()) return 0;
  const auto tokenizer = mlad::Tokenizer::Create(**file);
  if (!tokenizer.ok()) return 0;
  mlad::RoundTrip(**tokenizer, text, mlad::KeepsEveryByte(**tokenizer));
  return 0;
}
