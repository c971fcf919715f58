#include "model/chat_template.h"

#include <algorithm>
#include <array>
#include <optional>

#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "model/utf8.h"

namespace mlad {
namespace {

constexpr std::string_view kUserTag = "<｜User｜>";
constexpr std::string_view kAssistantTag = "<｜Assistant｜>";
constexpr std::string_view kEndTag = "<｜end▁of▁sentence｜>";
constexpr std::string_view kThoughtEnd = "</think>";

enum class SystemRule : uint8_t {
  kInPlace,  // written where they stand
  kLast,     // the last one, in front of everything
  kJoined,   // all of them, in front of everything
};

enum class ThoughtRule : uint8_t {
  kKeep,
  kDropToLastEnd,   // what stands up to the last </think> of an answer
  kDropToFirstEnd,  // what stands up to the first
};

/// When the assistant's tag is written.
enum class TagRule : uint8_t {
  kBeforeAnswer,   // before each answer and where the next one is to begin
  kAfterUser,      // behind each question; else only where the next one begins
  kAfterQuestion,  // before an answer that follows a question
  kAfterQuestionAndNext,  // likewise, and always where the next one begins
};

/// What tells the published templates apart, for conversations without tools.
struct Style {
  ChatStyle style;
  std::string_view name;
  bool plain_text;  // V2's "User: " instead of tokens
  SystemRule system;
  ThoughtRule thought;
  TagRule tag;
  std::string_view tag_suffix;  // behind the tag that opens the next answer
};

constexpr std::array<Style, 11> kStyles = {{
    {ChatStyle::kV2, "deepseek-v2", true, SystemRule::kInPlace,
     ThoughtRule::kKeep, TagRule::kBeforeAnswer, ""},
    {ChatStyle::kV2_5, "deepseek-v2.5", false, SystemRule::kLast,
     ThoughtRule::kKeep, TagRule::kBeforeAnswer, ""},
    {ChatStyle::kV3, "deepseek-v3", false, SystemRule::kJoined,
     ThoughtRule::kKeep, TagRule::kBeforeAnswer, ""},
    {ChatStyle::kV3_0324, "deepseek-v3-0324", false, SystemRule::kJoined,
     ThoughtRule::kKeep, TagRule::kAfterUser, ""},
    {ChatStyle::kV3_1, "deepseek-v3.1", false, SystemRule::kJoined,
     ThoughtRule::kDropToFirstEnd, TagRule::kAfterQuestion, kThoughtEnd},
    {ChatStyle::kV3_1Terminus, "deepseek-v3.1-terminus", false,
     SystemRule::kJoined, ThoughtRule::kDropToFirstEnd,
     TagRule::kAfterQuestionAndNext, kThoughtEnd},
    {ChatStyle::kR1, "deepseek-r1", false, SystemRule::kJoined,
     ThoughtRule::kDropToLastEnd, TagRule::kBeforeAnswer, ""},
    {ChatStyle::kR1Think, "deepseek-r1-think", false, SystemRule::kJoined,
     ThoughtRule::kDropToLastEnd, TagRule::kBeforeAnswer, "<think>\n"},
    {ChatStyle::kR1Distill, "deepseek-r1-distill", false, SystemRule::kLast,
     ThoughtRule::kDropToLastEnd, TagRule::kBeforeAnswer, ""},
    {ChatStyle::kR1_0528, "deepseek-r1-0528", false, SystemRule::kJoined,
     ThoughtRule::kDropToLastEnd, TagRule::kAfterUser, ""},
    {ChatStyle::kInline, "deepseek-inline", false, SystemRule::kInPlace,
     ThoughtRule::kKeep, TagRule::kBeforeAnswer, ""},
}};

const Style& Find(ChatStyle style) {
  const auto* found =
      std::find_if(kStyles.begin(), kStyles.end(),
                   [&](const Style& row) { return row.style == style; });
  MLAD_CHECK(found != kStyles.end());
  return *found;
}

bool Has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// The template without white space and with one kind of quotes: layouts of the
/// same template become equal.
std::string Squeeze(std::string_view text) {
  std::string result;
  for (char c : text) {
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') continue;
    result.push_back(c == '"' ? '\'' : c);
  }
  return result;
}

std::optional<SystemRule> ReadSystemRule(std::string_view squeezed) {
  if (Has(squeezed, "is_first_sp")) return SystemRule::kJoined;
  if (Has(squeezed, "system_prompt=message['content']")) {
    return SystemRule::kLast;
  }
  if (Has(squeezed, "system_prompt")) return std::nullopt;
  return SystemRule::kInPlace;
}

std::optional<ThoughtRule> ReadThoughtRule(std::string_view squeezed) {
  if (Has(squeezed, ".split('</think>')[-1]")) {
    return ThoughtRule::kDropToLastEnd;
  }
  if (Has(squeezed, ".split('</think>',1)[1]")) {
    return ThoughtRule::kDropToFirstEnd;
  }
  if (Has(squeezed, ".split('</think>'")) return std::nullopt;
  return ThoughtRule::kKeep;
}

TagRule ReadTagRule(std::string_view squeezed) {
  if (!Has(squeezed, "is_last_user")) return TagRule::kBeforeAnswer;
  if (Has(squeezed, "message['content']+'<｜Assistant｜>'")) {
    return TagRule::kAfterUser;
  }
  return Has(squeezed, "is_only_sysornotns.is_prefix")
             ? TagRule::kAfterQuestionAndNext
             : TagRule::kAfterQuestion;
}

/// What the template writes behind the tag that opens the next answer.
std::string_view ReadTagSuffix(std::string_view text,
                               std::string_view squeezed) {
  // The line end as an escape in the template's string, or as itself.
  for (const char* thought :
       {"<｜Assistant｜><think>\\n", "<｜Assistant｜><think>\n"}) {
    if (Has(text, thought)) return "<think>\n";
  }
  if (Has(squeezed, "<｜Assistant｜><think>'")) return "<think>";
  if (Has(squeezed, "'</think>'}}")) {
    return kThoughtEnd;
  }
  return "";
}

/// Appends what a style keeps of an answer.
void AppendAnswer(std::string_view content, ThoughtRule rule,
                  std::string& text) {
  size_t end = std::string_view::npos;
  if (rule == ThoughtRule::kDropToLastEnd) end = content.rfind(kThoughtEnd);
  if (rule == ThoughtRule::kDropToFirstEnd) end = content.find(kThoughtEnd);
  if (end != std::string_view::npos) {
    content.remove_prefix(end + kThoughtEnd.size());
  }
  text.append(content);
}

void AppendSystem(SystemRule rule, absl::Span<const ChatMessage> messages,
                  std::string& text) {
  std::string system;
  bool first = true;
  for (const ChatMessage& message : messages) {
    if (message.role != "system") continue;
    if (rule == SystemRule::kLast) system.clear();
    if (rule == SystemRule::kJoined && !first) system.append("\n\n");
    system.append(message.content);
    first = false;
  }
  text.append(system);
}

std::string RenderPlainText(absl::Span<const ChatMessage> messages,
                            std::string_view end, std::string text) {
  for (const ChatMessage& message : messages) {
    if (message.role == "user") {
      text.append("User: ").append(message.content).append("\n\n");
    } else if (message.role == "assistant") {
      text.append("Assistant: ").append(message.content).append(end);
    } else {
      text.append(message.content).append("\n\n");
    }
  }
  return text.append("Assistant:");
}

std::string RenderTagged(const Style& style,
                         absl::Span<const ChatMessage> messages,
                         std::string text) {
  if (style.system != SystemRule::kInPlace) {
    AppendSystem(style.system, messages, text);
  }
  bool asked = false;  // the last turn, but for system messages, is the user's
  for (const ChatMessage& message : messages) {
    if (message.role == "system") {
      if (style.system == SystemRule::kInPlace) text.append(message.content);
    } else if (message.role == "user") {
      text.append(kUserTag).append(message.content);
      if (style.tag == TagRule::kAfterUser) text.append(kAssistantTag);
      asked = true;
    } else {
      if (style.tag == TagRule::kBeforeAnswer) text.append(kAssistantTag);
      if (asked && (style.tag == TagRule::kAfterQuestion ||
                    style.tag == TagRule::kAfterQuestionAndNext)) {
        text.append(kAssistantTag).append(style.tag_suffix);
      }
      AppendAnswer(message.content, style.thought, text);
      text.append(kEndTag);
      asked = false;
    }
  }
  const bool opened = asked && style.tag == TagRule::kAfterUser;
  const bool nothing_asked = !asked && style.tag == TagRule::kAfterQuestion;
  if (!opened && !nothing_asked) {
    text.append(kAssistantTag).append(style.tag_suffix);
  }
  return text;
}

absl::Status CheckMessages(absl::Span<const ChatMessage> messages) {
  if (messages.empty()) {
    return absl::InvalidArgumentError(
        "The conversation has no messages: give at least one of role 'user'.");
  }
  for (const ChatMessage& message : messages) {
    if (message.role == "system" || message.role == "user" ||
        message.role == "assistant") {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "The role '", ReplaceInvalidUtf8(message.role),
        "' is unknown: messages are of 'system', 'user' or 'assistant'."));
  }
  return absl::OkStatus();
}

bool HasRoleTokens(const Tokenizer& tokenizer) {
  const EncodeOptions options = {.add_bos = false, .parse_special = true};
  return tokenizer.Encode(kUserTag, options).size() == 1 &&
         tokenizer.Encode(kAssistantTag, options).size() == 1;
}

}  // namespace

std::string_view ChatStyleName(ChatStyle style) { return Find(style).name; }

absl::StatusOr<ChatStyle> DetectChatStyle(std::string_view jinja_template,
                                          const Tokenizer& tokenizer) {
  if (jinja_template.empty()) {
    if (HasRoleTokens(tokenizer)) return ChatStyle::kV3;
    return absl::UnimplementedError(
        "The model file has no chat template (tokenizer.chat_template) and no "
        "<｜User｜> and <｜Assistant｜> tokens: write the prompt yourself and "
        "generate from it instead of chatting.");
  }
  const std::string squeezed = Squeeze(jinja_template);
  const bool tagged = Has(squeezed, kUserTag) && Has(squeezed, kAssistantTag);
  const bool plain_text =
      !tagged && Has(squeezed, "'User:'+") && Has(squeezed, "'Assistant:'}}");
  const auto system = ReadSystemRule(squeezed);
  const auto thought = ReadThoughtRule(squeezed);
  if ((tagged || plain_text) && system.has_value() && thought.has_value()) {
    for (const Style& style : kStyles) {
      if (style.plain_text == plain_text && style.system == *system &&
          style.thought == *thought && style.tag == ReadTagRule(squeezed) &&
          style.tag_suffix == ReadTagSuffix(jinja_template, squeezed)) {
        return style.style;
      }
    }
  }
  return absl::UnimplementedError(
      "The model file's chat template (tokenizer.chat_template) is none of "
      "those that mlad knows (DeepSeek V2, V2.5, V3, V3-0324, V3.1, R1 and "
      "R1-0528): write the prompt yourself and generate from it instead of "
      "chatting, or give the file one of these templates.");
}

absl::StatusOr<std::string> RenderChat(ChatStyle style,
                                       absl::Span<const ChatMessage> messages,
                                       const Tokenizer& tokenizer) {
  if (absl::Status status = CheckMessages(messages); !status.ok()) {
    return status;
  }
  std::string begin(tokenizer.TokenBytes(tokenizer.bos_id()));
  const Style& row = Find(style);
  if (row.plain_text) {
    return RenderPlainText(messages, tokenizer.TokenBytes(tokenizer.eos_id()),
                           std::move(begin));
  }
  return RenderTagged(row, messages, std::move(begin));
}

}  // namespace mlad
