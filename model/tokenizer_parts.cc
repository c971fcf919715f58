#include "model/tokenizer_parts.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "model/byte_level.h"
#include "model/utf8.h"

namespace mlad {
namespace {

constexpr char kModelKey[] = "tokenizer.ggml.model";
constexpr char kPreKey[] = "tokenizer.ggml.pre";
constexpr char kMergesKey[] = "tokenizer.ggml.merges";
constexpr char kBosKey[] = "tokenizer.ggml.bos_token_id";
constexpr char kEosKey[] = "tokenizer.ggml.eos_token_id";
constexpr char kAddBosKey[] = "tokenizer.ggml.add_bos_token";
constexpr char kAddEosKey[] = "tokenizer.ggml.add_eos_token";

/// The texts that end a turn or a document wherever they are tokens of their
/// own, whatever the file says of them.
constexpr std::array<std::string_view, 6> kEndTexts = {
    "<｜end▁of▁sentence｜>", "<|EOT|>", "<|end_of_sentence|>", "<|im_end|>",
    "<|endoftext|>",         "[EOS]"};

/// No UTF-8 text has these bytes.
bool NeverInUtf8(int byte) {
  return byte == 0xC0 || byte == 0xC1 || byte >= 0xF5;
}

/// kNotFound is no error for an optional key: `otherwise` then.
template <typename T>
absl::StatusOr<T> ValueOr(absl::StatusOr<T> value, T otherwise) {
  if (absl::IsNotFound(value.status())) return otherwise;
  return value;
}

absl::StatusOr<std::string> RequiredString(const GgufFile& file,
                                           const char* key) {
  absl::StatusOr<std::string> value = file.GetString(key);
  if (absl::IsNotFound(value.status())) {
    return absl::InvalidArgumentError(
        absl::StrCat("The model file has no ", key,
                     ": convert the model again, with its tokenizer."));
  }
  return value;
}

/// The id under `key`, -1 when the file has none.
absl::StatusOr<int32_t> TokenId(const GgufFile& file,
                                const Vocabulary& vocabulary,
                                const std::string& key) {
  MLAD_ASSIGN_OR_RETURN(const int64_t id,
                        ValueOr<int64_t>(file.GetInt(key), -1));
  if (id < -1 || id >= vocabulary.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(key, " is ", id, ", but the vocabulary has ",
                     vocabulary.size(), " tokens."));
  }
  return static_cast<int32_t>(id);
}

/// Whether encoding adds the token `id`, which stands under `id_key`.
absl::StatusOr<bool> AddsToken(const GgufFile& file, const char* key,
                               const char* id_key, int32_t id, bool otherwise) {
  MLAD_ASSIGN_OR_RETURN(const bool adds,
                        ValueOr<bool>(file.GetBool(key), otherwise));
  if (adds && id < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("The model file asks to add a token (", key,
                     ") but does not say which: ", id_key, " is missing."));
  }
  return adds;
}

/// Tokens of single bytes. Errors: kInvalidArgument when a byte of UTF-8 text
/// has none.
absl::StatusOr<bool> AddBytes(const Vocabulary& vocabulary,
                              BytePairMerger& merger) {
  bool has_all = true;
  for (int byte = 0; byte < 256; ++byte) {
    const char text = static_cast<char>(byte);
    const std::optional<int32_t> id =
        vocabulary.FindNormal(std::string_view(&text, 1));
    if (id.has_value()) {
      merger.SetByte(static_cast<uint8_t>(byte), *id);
      continue;
    }
    has_all = false;
    if (!NeverInUtf8(byte)) {
      return absl::InvalidArgumentError(
          absl::StrCat("The vocabulary has no token for the byte 0x",
                       absl::Hex(byte, absl::kZeroPad2),
                       ", so it could not spell every text: the file's "
                       "tokenizer.ggml.tokens are damaged or not byte-level."));
    }
  }
  return has_all;
}

absl::Status MergeError(size_t rank, const std::string& merge,
                        const char* what) {
  return absl::InvalidArgumentError(
      absl::StrCat("Merge ", rank, " of ", kMergesKey, ", '",
                   ReplaceInvalidUtf8(merge), "', ", what, "."));
}

absl::Status AddMerges(absl::Span<const std::string> merges,
                       const Vocabulary& vocabulary, BytePairMerger& merger) {
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string& merge = merges[rank];
    const size_t space = merge.find(' ');
    if (space == std::string::npos || space != merge.rfind(' ')) {
      return MergeError(rank, merge, "is not two tokens and one space");
    }
    const std::string_view both = merge;
    const auto left = BytesOfSpelling(both.substr(0, space));
    const auto right = BytesOfSpelling(both.substr(space + 1));
    if (!left.has_value() || !right.has_value()) {
      return MergeError(rank, merge,
                        "has a character outside the byte-level alphabet");
    }
    const std::optional<int32_t> left_id = vocabulary.FindNormal(*left);
    const std::optional<int32_t> right_id = vocabulary.FindNormal(*right);
    const std::optional<int32_t> merged = vocabulary.FindNormal(*left + *right);
    if (!left_id || !right_id || !merged) {
      return MergeError(rank, merge,
                        "names or makes a token that the vocabulary lacks");
    }
    if (!merger.AddMerge(*left_id, *right_id, *merged)) {
      return MergeError(rank, merge, "is there twice");
    }
  }
  return absl::OkStatus();
}

bool IsFoundInText(TokenKind kind) {
  return kind == TokenKind::kControl || kind == TokenKind::kUserDefined;
}

absl::Status AddSpecial(const Vocabulary& vocabulary, SpecialTokens& special) {
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    const std::string_view text = vocabulary.Bytes(id);
    if (!IsFoundInText(vocabulary.kind(id)) || text.empty()) continue;
    if (!special.Add(text, id)) {
      return absl::InvalidArgumentError(
          absl::StrCat("The special token '", ReplaceInvalidUtf8(text),
                       "' is in the vocabulary twice, the second time as ", id,
                       ": the file's tokenizer.ggml.tokens are damaged."));
    }
  }
  return absl::OkStatus();
}

/// The ids that the file names as ends, and the tokens known as such.
absl::StatusOr<std::vector<int32_t>> EndIds(const GgufFile& file,
                                            const Vocabulary& vocabulary) {
  std::vector<int32_t> ids;
  for (const char* name : {"eos", "eot", "eom"}) {
    MLAD_ASSIGN_OR_RETURN(
        const int32_t id,
        TokenId(file, vocabulary,
                absl::StrCat("tokenizer.ggml.", name, "_token_id")));
    if (id >= 0) ids.push_back(id);
  }
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    const auto text =
        std::find(kEndTexts.begin(), kEndTexts.end(), vocabulary.Bytes(id));
    if (text != kEndTexts.end() && IsFoundInText(vocabulary.kind(id))) {
      ids.push_back(id);
    }
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

absl::Status CheckModel(const GgufFile& file) {
  MLAD_ASSIGN_OR_RETURN(const std::string model,
                        RequiredString(file, kModelKey));
  if (model == "gpt2") return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat("The tokenizer '", model, "' (", kModelKey,
                   ") is unknown to mlad, which has gpt2 (byte-level BPE): use "
                   "a DeepSeek model."));
}

}  // namespace

absl::StatusOr<TokenizerParts> ReadTokenizerParts(const GgufFile& file) {
  MLAD_RETURN_IF_ERROR(CheckModel(file));
  MLAD_ASSIGN_OR_RETURN(const std::string pre, RequiredString(file, kPreKey));
  MLAD_ASSIGN_OR_RETURN(PreTokenizer pre_tokenizer, PreTokenizer::Create(pre));
  TokenizerParts parts(std::move(pre_tokenizer));
  MLAD_ASSIGN_OR_RETURN(parts.vocabulary, Vocabulary::Load(file));
  MLAD_ASSIGN_OR_RETURN(const absl::Span<const std::string> merges,
                        GetStrings(file, kMergesKey));
  MLAD_ASSIGN_OR_RETURN(parts.has_all_bytes,
                        AddBytes(parts.vocabulary, parts.merger));
  MLAD_RETURN_IF_ERROR(AddMerges(merges, parts.vocabulary, parts.merger));
  MLAD_RETURN_IF_ERROR(AddSpecial(parts.vocabulary, parts.special));

  MLAD_ASSIGN_OR_RETURN(parts.bos_id, TokenId(file, parts.vocabulary, kBosKey));
  MLAD_ASSIGN_OR_RETURN(parts.eos_id, TokenId(file, parts.vocabulary, kEosKey));
  MLAD_ASSIGN_OR_RETURN(parts.end_ids, EndIds(file, parts.vocabulary));
  // All models with these pre-tokenizers begin a text with BOS.
  MLAD_ASSIGN_OR_RETURN(
      parts.adds_bos,
      AddsToken(file, kAddBosKey, kBosKey, parts.bos_id, parts.bos_id >= 0));
  MLAD_ASSIGN_OR_RETURN(parts.adds_eos, AddsToken(file, kAddEosKey, kEosKey,
                                                  parts.eos_id, false));
  return parts;
}

}  // namespace mlad
