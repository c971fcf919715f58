#include "rpc/request_reading.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "model/utf8.h"
#include "rpc/request_validation.h"
#include "rpc/wire_message.h"

namespace mlad {
namespace {

/// Of any request with the fields add_bos and parse_special.
template <typename Request>
EncodeOptions ReadEncodeOptions(const Request& request) {
  EncodeOptions options;
  if (request.has_add_bos()) options.add_bos = request.add_bos();
  if (request.has_parse_special()) {
    options.parse_special = request.parse_special();
  }
  return options;
}

/// Of any request with a choice of `text` and `tokens`.
template <typename Request>
absl::StatusOr<std::vector<int32_t>> ReadPrompt(const Request& request,
                                                const Tokenizer& tokenizer) {
  if (request.has_tokens()) {
    if (request.tokens().ids().empty()) {
      return absl::InvalidArgumentError(
          "tokens.ids is empty; send at least one id");
    }
    return ReadTokenIds(request.tokens().ids(), tokenizer.vocab_size(),
                        "tokens.ids");
  }
  if (!request.has_text()) {
    return absl::InvalidArgumentError(
        "neither text nor tokens is set; send one of them");
  }
  if (request.text().empty()) {
    return absl::InvalidArgumentError("text is empty; send at least one byte");
  }
  return tokenizer.Encode(request.text(), ReadEncodeOptions(request));
}

}  // namespace

absl::StatusOr<GenerationOrder> ReadGenerateRequest(
    const grpc::ByteBuffer& bytes, const ServedModel& model) {
  v1::GenerateRequest wire;
  MLAD_RETURN_IF_ERROR(ParseMessage(bytes, &wire));
  const Tokenizer& tokenizer = model.tokenizer();
  MLAD_ASSIGN_OR_RETURN(
      GenerationRequest request,
      ReadGenerationOptions(wire.options(), tokenizer.vocab_size()));
  MLAD_ASSIGN_OR_RETURN(request.prompt, ReadPrompt(wire, tokenizer));
  return GenerationOrder{std::move(request), wire.options().echo()};
}

absl::StatusOr<GenerationOrder> ReadChatRequest(const grpc::ByteBuffer& bytes,
                                                const ServedModel& model) {
  v1::ChatRequest wire;
  MLAD_RETURN_IF_ERROR(ParseMessage(bytes, &wire));
  MLAD_RETURN_IF_ERROR(ValidateMessages(wire));
  if (!model.chat_style().has_value()) {
    return absl::UnimplementedError(
        "the model's file has no chat template that mlad knows; use Generate");
  }
  const Tokenizer& tokenizer = model.tokenizer();
  MLAD_ASSIGN_OR_RETURN(
      GenerationRequest request,
      ReadGenerationOptions(wire.options(), tokenizer.vocab_size()));
  std::vector<ChatMessage> messages;
  messages.reserve(wire.messages_size());
  for (const v1::ChatMessage& message : wire.messages()) {
    messages.push_back({message.role(), message.content()});
  }
  MLAD_ASSIGN_OR_RETURN(const std::string text,
                        RenderChat(*model.chat_style(), messages, tokenizer));
  // The rendered text spells out BOS itself.
  request.prompt = tokenizer.Encode(text, {.add_bos = false});
  if (!wire.options().has_split_reasoning()) request.split_reasoning = true;
  return GenerationOrder{std::move(request), wire.options().echo()};
}

absl::StatusOr<ScoreRequest> ReadScoreRequest(const grpc::ByteBuffer& bytes,
                                              const ServedModel& model) {
  v1::ScoreRequest wire;
  MLAD_RETURN_IF_ERROR(ParseMessage(bytes, &wire));
  MLAD_RETURN_IF_ERROR(ValidateTopLogprobs(wire.top_logprobs()));
  ScoreRequest request;
  request.top_logprobs = wire.top_logprobs();
  MLAD_ASSIGN_OR_RETURN(request.priority,
                        ReadPriority(wire.priority(), "priority"));
  MLAD_ASSIGN_OR_RETURN(request.tokens, ReadPrompt(wire, model.tokenizer()));
  if (request.tokens.size() < 2) {
    return absl::InvalidArgumentError(
        "the input is a single token; scoring needs at least two");
  }
  return request;
}

absl::StatusOr<grpc::ByteBuffer> AnswerTokenize(const grpc::ByteBuffer& bytes,
                                                const ServedModel& model) {
  v1::TokenizeRequest request;
  MLAD_RETURN_IF_ERROR(ParseMessage(bytes, &request));
  const Tokenizer& tokenizer = model.tokenizer();
  const std::vector<int32_t> ids =
      tokenizer.Encode(request.text(), ReadEncodeOptions(request));
  v1::TokenizeResponse response;
  response.mutable_ids()->Add(ids.begin(), ids.end());
  if (request.with_pieces()) {
    for (const int32_t id : ids) {
      response.add_pieces(std::string(tokenizer.TokenBytes(id)));
    }
  }
  return SerializeMessage(response);
}

absl::StatusOr<grpc::ByteBuffer> AnswerDetokenize(const grpc::ByteBuffer& bytes,
                                                  const ServedModel& model) {
  v1::DetokenizeRequest request;
  MLAD_RETURN_IF_ERROR(ParseMessage(bytes, &request));
  const Tokenizer& tokenizer = model.tokenizer();
  MLAD_ASSIGN_OR_RETURN(
      const std::vector<int32_t> ids,
      ReadTokenIds(request.ids(), tokenizer.vocab_size(), "ids"));
  v1::DetokenizeResponse response;
  response.set_raw(tokenizer.Decode(ids, request.with_special()));
  response.set_text(ReplaceInvalidUtf8(response.raw()));
  return SerializeMessage(response);
}

}  // namespace mlad
