// Chat prompts of DeepSeek V2, V2.5, V3 and R1.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/tokenizer.h"

namespace mlad {

struct ChatMessage {
  std::string role;  // "system", "user", "assistant"
  std::string content;
};

enum class ChatStyle : uint8_t { kV2, kV2_5, kV3, kR1 };
std::string_view ChatStyleName(ChatStyle style);

/// Chosen from tokenizer.chat_template's text (jinja); kV3 when the file has none but has
/// the V3 role tokens. Errors: kUnimplemented when no style matches.
absl::StatusOr<ChatStyle> DetectChatStyle(std::string_view jinja_template,
                                          const Tokenizer& tokenizer);

/// Renders the conversation up to where the assistant speaks, with BOS text.
/// Errors: kInvalidArgument for no messages or an unknown role.
absl::StatusOr<std::string> RenderChat(ChatStyle style,
                                       absl::Span<const ChatMessage> messages,
                                       const Tokenizer& tokenizer);

}  // namespace mlad
