#include "model/pre_tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <pcre2.h>

#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "model/pre_tokenizer_expressions.h"
#include "model/utf8.h"

namespace mlad {
namespace {

PCRE2_SPTR Data(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data());
}

struct MatchDataDeleter {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
using MatchData = std::unique_ptr<pcre2_match_data, MatchDataDeleter>;

void AppendIfAny(std::string_view piece,
                 std::vector<std::string_view>& pieces) {
  if (!piece.empty()) pieces.push_back(piece);
}

}  // namespace

/// A compiled expression.
class PreTokenizer::Expression {
 public:
  static absl::StatusOr<std::unique_ptr<Expression>> Create(
      const std::string& pattern);
  ~Expression() {
    pcre2_match_context_free(context_);
    pcre2_code_free(code_);
  }
  Expression(const Expression&) = delete;
  Expression& operator=(const Expression&) = delete;

  MatchData NewMatchData() const {
    return MatchData(pcre2_match_data_create_from_pattern(code_, nullptr));
  }
  /// Appends the matches in `text`, which is UTF-8, and what lies between them.
  void Cut(std::string_view text, pcre2_match_data* match,
           std::vector<std::string_view>& pieces) const;

 private:
  Expression(pcre2_code* code, pcre2_match_context* context)
      : code_(code), context_(context) {}
  bool Find(std::string_view text, size_t from, pcre2_match_data* match) const;

  pcre2_code* code_;
  pcre2_match_context* context_;
};

absl::StatusOr<std::unique_ptr<PreTokenizer::Expression>>
PreTokenizer::Expression::Create(const std::string& pattern) {
  int error = 0;
  PCRE2_SIZE error_offset = 0;
  pcre2_code* code =
      pcre2_compile(Data(pattern), pattern.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error,
                    &error_offset, nullptr);
  if (code == nullptr) {
    return absl::InternalError(
        absl::StrCat("PCRE2 refuses a pre-tokenizer expression (error ", error,
                     " at offset ", error_offset, "): ", pattern));
  }
  // Where memory may not become executable this fails, and matching goes on
  // interpreted, with the same results.
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  if (context == nullptr) {
    pcre2_code_free(code);
    return absl::ResourceExhaustedError(
        "There is no memory for the pre-tokenizer's match context.");
  }
  // The expressions take linear time, so a long text is no reason to give up.
  pcre2_set_match_limit(context, UINT32_MAX);
  pcre2_set_depth_limit(context, UINT32_MAX);
  return std::unique_ptr<Expression>(new Expression(code, context));
}

bool PreTokenizer::Expression::Find(std::string_view text, size_t from,
                                    pcre2_match_data* match) const {
  // Unchecked: a check would read the rest of the text at each call.
  constexpr uint32_t kOptions = PCRE2_NO_UTF_CHECK;
  int result = pcre2_match(code_, Data(text), text.size(), from, kOptions,
                           match, context_);
  if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
    result = pcre2_match(code_, Data(text), text.size(), from,
                         kOptions | PCRE2_NO_JIT, match, context_);
  }
  return result > 0;
}

void PreTokenizer::Expression::Cut(
    std::string_view text, pcre2_match_data* match,
    std::vector<std::string_view>& pieces) const {
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(match);
  size_t done = 0;
  // No expression matches the empty text, so every match makes progress.
  while (done < text.size() && Find(text, done, match)) {
    AppendIfAny(text.substr(done, bounds[0] - done), pieces);
    AppendIfAny(text.substr(bounds[0], bounds[1] - bounds[0]), pieces);
    done = bounds[1];
  }
  AppendIfAny(text.substr(done), pieces);
}

PreTokenizer::PreTokenizer() = default;
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;
PreTokenizer& PreTokenizer::operator=(PreTokenizer&&) noexcept = default;
PreTokenizer::~PreTokenizer() = default;

absl::StatusOr<PreTokenizer> PreTokenizer::Create(std::string_view name) {
  const std::vector<std::string> patterns = PreTokenizerExpressions(name);
  if (patterns.empty()) {
    return absl::UnimplementedError(absl::StrCat(
        "The pre-tokenizer '", absl::string_view(name.data(), name.size()),
        "' (tokenizer.ggml.pre) is unknown to mlad, which has deepseek-llm, "
        "deepseek-coder and deepseek-v3: use a model with one of these."));
  }
  PreTokenizer result;
  for (const std::string& pattern : patterns) {
    MLAD_ASSIGN_OR_RETURN(std::unique_ptr<Expression> expression,
                          Expression::Create(pattern));
    result.expressions_.push_back(std::move(expression));
  }
  return result;
}

void PreTokenizer::SplitValid(std::string_view text,
                              std::vector<std::string_view>& pieces) const {
  std::vector<std::string_view> uncut = {text};
  std::vector<std::string_view> cut;
  for (const std::unique_ptr<Expression>& expression : expressions_) {
    cut.clear();
    const MatchData match = expression->NewMatchData();
    for (std::string_view piece : uncut) {
      expression->Cut(piece, match.get(), cut);
    }
    uncut.swap(cut);
  }
  pieces.insert(pieces.end(), uncut.begin(), uncut.end());
}

std::vector<std::string_view> PreTokenizer::Split(std::string_view text) const {
  std::vector<std::string_view> pieces;
  size_t begin = 0;  // of the run
  bool valid = true;
  for (size_t position = 0; position < text.size();) {
    const Utf8Step step = FirstUtf8(text.substr(position));
    const bool character = step.kind == Utf8Kind::kCharacter;
    if (character != valid && position > begin) {
      const std::string_view run = text.substr(begin, position - begin);
      valid ? SplitValid(run, pieces) : pieces.push_back(run);
      begin = position;
    }
    valid = character;
    position += step.bytes;
  }
  if (begin < text.size()) {
    const std::string_view run = text.substr(begin);
    valid ? SplitValid(run, pieces) : pieces.push_back(run);
  }
  return pieces;
}

}  // namespace mlad
