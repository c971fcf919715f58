// Chat prompts of the DeepSeek models.
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

/// One for each way in which the published templates write a conversation.
enum class ChatStyle : uint8_t {
  kV2,    // "User: ...", "Assistant: ..." as plain text
  kV2_5,  // <｜User｜> and <｜Assistant｜>; the last system message counts
  kV3,    // as V2.5; all system messages count
  kV3_0324,       // as V3; the assistant's turn opens right behind the user's
  kV3_1,          // as V3; answers to questions begin behind an empty thought
  kV3_1Terminus,  // as V3.1; a prompt opens an answer whoever spoke last
  kR1,            // as V3; thoughts are dropped from the history
  kR1Think,       // as R1; the prompt opens the thought
  kR1Distill,     // as V2.5; thoughts are dropped from the history
  kR1_0528,       // as V3-0324; thoughts are dropped from the history
  kInline,        // as V2.5; system messages stay where they are
};
std::string_view ChatStyleName(ChatStyle style);

/// Chosen from tokenizer.chat_template's text (jinja); kV3 when the file has
/// none but has the V3 role tokens. Errors: kUnimplemented when no style
/// matches.
absl::StatusOr<ChatStyle> DetectChatStyle(std::string_view jinja_template,
                                          const Tokenizer& tokenizer);

/// Renders the conversation up to where the assistant speaks, with BOS text:
/// the result is to be encoded with special tokens and without adding BOS.
/// Texts of special tokens in a message become special tokens then, as with the
/// published templates.
/// Errors: kInvalidArgument for no messages or an unknown role.
absl::StatusOr<std::string> RenderChat(ChatStyle style,
                                       absl::Span<const ChatMessage> messages,
                                       const Tokenizer& tokenizer);

}  // namespace mlad
