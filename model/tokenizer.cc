#include "model/tokenizer.h"

#include <optional>
#include <utility>

#include "base/status.h"
#include "model/tokenizer_parts.h"
#include "model/utf8.h"

namespace mlad {

struct Tokenizer::Impl {
  TokenizerParts parts;
};

namespace {

/// Appends the tokens of `text`, in which nothing is special.
void EncodePlain(std::string_view text, const TokenizerParts& parts,
                 BytePairMerger::Workspace& workspace,
                 std::vector<int32_t>& ids) {
  for (std::string_view piece : parts.pre_tokenizer.Split(text)) {
    parts.merger.Encode(piece, workspace, ids);
  }
}

void EncodeWithSpecial(std::string_view text, const TokenizerParts& parts,
                       BytePairMerger::Workspace& workspace,
                       std::vector<int32_t>& ids) {
  size_t done = 0;
  while (const auto match = parts.special.FindFirst(text, done)) {
    EncodePlain(text.substr(done, match->position - done), parts, workspace,
                ids);
    ids.push_back(match->id);
    done = match->position + match->bytes;
  }
  EncodePlain(text.substr(done), parts, workspace, ids);
}

std::string ReplaceUnknownBytes(std::string_view text,
                                const BytePairMerger& merger) {
  std::string result;
  result.reserve(text.size());
  for (char byte : text) {
    if (merger.HasByte(static_cast<uint8_t>(byte))) {
      result.push_back(byte);
    } else {
      result.append(kReplacementCharacter);
    }
  }
  return result;
}

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Create(
    const GgufFile& file) {
  MLAD_ASSIGN_OR_RETURN(TokenizerParts parts, ReadTokenizerParts(file));
  auto impl = std::make_unique<Impl>(Impl{std::move(parts)});
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(impl)));
}

std::vector<int32_t> Tokenizer::Encode(std::string_view text,
                                       const EncodeOptions& options) const {
  const TokenizerParts& parts = impl_->parts;
  std::string replaced;
  if (!parts.has_all_bytes) {
    replaced = ReplaceUnknownBytes(text, parts.merger);
    text = replaced;
  }
  std::vector<int32_t> ids;
  BytePairMerger::Workspace workspace;
  if (options.add_bos && parts.adds_bos) ids.push_back(parts.bos_id);
  if (options.parse_special) {
    EncodeWithSpecial(text, parts, workspace, ids);
  } else {
    EncodePlain(text, parts, workspace, ids);
  }
  if (options.add_eos && parts.adds_eos) ids.push_back(parts.eos_id);
  return ids;
}

std::string Tokenizer::Decode(absl::Span<const int32_t> ids,
                              bool with_special) const {
  std::string text;
  for (int32_t id : ids) {
    if (with_special || !IsControl(id)) text.append(TokenBytes(id));
  }
  return text;
}

std::string_view Tokenizer::TokenBytes(int32_t id) const {
  const Vocabulary& vocabulary = impl_->parts.vocabulary;
  return vocabulary.Has(id) ? vocabulary.Bytes(id) : std::string_view();
}

bool Tokenizer::IsControl(int32_t id) const {
  const Vocabulary& vocabulary = impl_->parts.vocabulary;
  return vocabulary.Has(id) && vocabulary.kind(id) == TokenKind::kControl;
}

int64_t Tokenizer::vocab_size() const { return impl_->parts.vocabulary.size(); }
int32_t Tokenizer::bos_id() const { return impl_->parts.bos_id; }
int32_t Tokenizer::eos_id() const { return impl_->parts.eos_id; }
bool Tokenizer::adds_bos() const { return impl_->parts.adds_bos; }
bool Tokenizer::adds_eos() const { return impl_->parts.adds_eos; }

absl::Span<const int32_t> Tokenizer::end_of_generation_ids() const {
  return impl_->parts.end_ids;
}

}  // namespace mlad
