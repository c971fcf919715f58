#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "base/status.h"
#include "ctl/commands.h"
#include "ctl/exit_status.h"
#include "ctl/input.h"
#include "ctl/json_output.h"
#include "ctl/session.h"
#include "ctl/table.h"
#include "ctl/terminal.h"

namespace mlad {
namespace {

/// A token's bytes as a quoted string, with what is not printable escaped.
std::string Quote(const std::string& piece) {
  return nlohmann::json(piece).dump(-1, ' ', false,
                                    nlohmann::json::error_handler_t::replace);
}

void PrintPieces(const v1::TokenizeResponse& response) {
  Table table({"id", "piece"});
  for (int i = 0; i < response.ids_size(); ++i) {
    table.Add({absl::StrCat(response.ids(i)), Quote(response.pieces(i))});
  }
  std::cout << table.ToString(Colours());
}

nlohmann::json ScoreAsJson(const v1::ScoreResponse& response) {
  return {{"perplexity", response.perplexity()},
          {"total_logprob", response.total_logprob()},
          {"first_id", response.first_id()},
          {"scores", ToJson(response.scores())}};
}

void PrintScore(const v1::ScoreResponse& response, bool per_token) {
  if (per_token) {
    Table table({"id", "piece", "log-probability"});
    for (const v1::TokenScore& score : response.scores()) {
      table.Add({absl::StrCat(score.id()), Quote(score.piece()),
                 absl::StrFormat("%.4f", score.logprob())});
    }
    std::cout << table.ToString(Colours());
  }
  std::cout << absl::StreamFormat(
      "perplexity %.4f over %d predictions (log-probability %.4f)\n",
      response.perplexity(), response.scores_size(), response.total_logprob());
}

}  // namespace

int RunTokenize(const CtlOptions& options) {
  const auto text = ReadInputText(options.input);
  if (!text.ok()) return ReportStatus(text.status());
  v1::TokenizeRequest request;
  request.set_text(*text);
  request.set_add_bos(!options.input.no_bos);
  request.set_parse_special(!options.input.no_special);
  request.set_with_pieces(options.pieces);
  return WithClient(
      options.connection,
      [&](Client& client, const CallOptions& call) -> absl::Status {
        MLAD_ASSIGN_OR_RETURN(const v1::TokenizeResponse response,
                              client.Tokenize(request, call));
        if (options.json) {
          nlohmann::json object = {{"token_ids", response.ids()}};
          if (options.pieces) object["pieces"] = response.pieces();
          PrintJsonLine(object);
        } else if (options.pieces) {
          PrintPieces(response);
        } else {
          std::cout << absl::StrJoin(response.ids(), ",") << "\n";
        }
        return absl::OkStatus();
      });
}

int RunDetokenize(const CtlOptions& options) {
  v1::DetokenizeRequest request;
  for (const int32_t id : options.input.tokens) request.add_ids(id);
  request.set_with_special(options.with_special);
  return WithClient(
      options.connection,
      [&](Client& client, const CallOptions& call) -> absl::Status {
        MLAD_ASSIGN_OR_RETURN(const v1::DetokenizeResponse response,
                              client.Detokenize(request, call));
        if (options.json) {
          PrintJsonLine({{"text", response.text()}});
        } else {
          std::cout << ForTerminal(response.raw(), IsTerminal(1)) << "\n";
        }
        return absl::OkStatus();
      });
}

int RunScore(const CtlOptions& options) {
  v1::ScoreRequest request;
  const absl::Status input = FillInput(options.input, request);
  if (!input.ok()) return ReportStatus(input);
  request.set_top_logprobs(options.top);
  return WithClient(
      options.connection,
      [&](Client& client, const CallOptions& call) -> absl::Status {
        MLAD_ASSIGN_OR_RETURN(const v1::ScoreResponse response,
                              client.Score(request, call));
        if (options.json) {
          PrintJsonLine(ScoreAsJson(response));
        } else {
          PrintScore(response, options.per_token);
        }
        return absl::OkStatus();
      });
}

}  // namespace mlad
