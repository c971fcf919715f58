#include "model/pre_tokenizer_expressions.h"

#include "absl/strings/str_cat.h"

namespace mlad {
namespace {

// White space as the published tokenizers see it, for use in brackets: the
// Unicode property. PCRE2's \s has U+180E too.
constexpr char kSpace[] =
    R"(\x09-\x0D\x20\x85\xA0\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029})"
    R"(\x{202F}\x{205F}\x{3000})";

// The letters with upper and lower case that deepseek-llm takes for words.
constexpr char kCasedLetters[] =
    R"(A-Za-z\xB5\xC0-\xD6\xD8-\xF6\xF8-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293})"
    R"(\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F})"
    R"(\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5})"
    R"(\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5})"
    R"(\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF})"
    R"(\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15})"
    R"(\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57})"
    R"(\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4})"
    R"(\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC})"
    R"(\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4})"
    R"(\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115})"
    R"(\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D})"
    R"(\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E})"
    R"(\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE})"
    R"(\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F})"
    R"(\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06})"
    R"(\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F})"
    R"(\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2})"
    R"(\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943})";

// ASCII and full-width punctuation (with the letters between), quotes, and the
// first of the ideographic marks.
constexpr char kPunctuation[] =
    R"(!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F})"
    R"(\x{3000}-\x{3002})";

// What deepseek-llm and deepseek-coder take for text without spaces.
constexpr char kScripts[] =
    R"([\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+)";

std::vector<std::string> DeepSeekLlm() {
  return {
      R"([\r\n])",
      absl::StrCat("[", kSpace, "]?[", kCasedLetters, "]+"),
      absl::StrCat("[", kSpace, "]?[", kPunctuation, "]+"),
      // Published as \s+$: the same matches, without a try at each space.
      absl::StrCat("(?<![", kSpace, "])[", kSpace, R"(]++\z)"),
      kScripts,
      R"(\p{N})",
  };
}

std::vector<std::string> DeepSeekCoder() {
  return {
      R"([\r\n])",
      absl::StrCat("[", kSpace, R"(]?\p{L}+)"),
      absl::StrCat("[", kSpace, R"(]?\p{P}+)"),
      kScripts,
      R"(\p{N})",
  };
}

std::vector<std::string> DeepSeekV3() {
  const std::string words =
      absl::StrCat(R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+)",
                   R"(|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)",
                   R"(| ?[\p{P}\p{S}]+[\r\n]*)", "|[", kSpace, R"(]*[\r\n]+)");
  return {
      R"(\p{N}{1,3})",
      R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)",
      absl::StrCat(words, "|[", kSpace, "]+(?![^", kSpace, "])|[", kSpace,
                   "]+"),
  };
}

}  // namespace

std::vector<std::string> PreTokenizerExpressions(std::string_view name) {
  if (name == "deepseek-llm") return DeepSeekLlm();
  if (name == "deepseek-coder") return DeepSeekCoder();
  if (name == "deepseek-v3") return DeepSeekV3();
  return {};
}

}  // namespace mlad
