#include <iostream>
#include <string>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#include "base/status.h"
#include "ctl/commands.h"
#include "ctl/exit_status.h"
#include "ctl/input.h"
#include "ctl/json_output.h"
#include "ctl/session.h"
#include "ctl/table.h"

namespace mlad {
namespace {

absl::Status ReadMessages(const std::string& path, v1::ChatRequest& chat) {
  MLAD_ASSIGN_OR_RETURN(const std::string text, ReadInputFile(path));
  const auto json = nlohmann::json::parse(text, nullptr, false);
  const absl::Status malformed = absl::InvalidArgumentError(
      absl::StrCat(path,
                   " is no list of messages; write [{\"role\": \"user\", "
                   "\"content\": \"...\"}, ...]"));
  if (!json.is_array()) return malformed;
  for (const auto& item : json) {
    if (!item.is_object() || !item.contains("role") ||
        !item.contains("content") || !item["role"].is_string() ||
        !item["content"].is_string()) {
      return malformed;
    }
    v1::ChatMessage& message = *chat.add_messages();
    message.set_role(item["role"].get<std::string>());
    message.set_content(item["content"].get<std::string>());
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::SaveSessionRequest> MakeSaveRequest(
    const CtlOptions& options) {
  v1::SaveSessionRequest request;
  request.set_name(options.session);
  if (options.messages_file.empty()) {
    MLAD_RETURN_IF_ERROR(FillInput(options.input, *request.mutable_generate()));
  } else {
    MLAD_RETURN_IF_ERROR(
        ReadMessages(options.messages_file, *request.mutable_chat()));
  }
  return request;
}

std::string SavedAt(const v1::Session& session) {
  if (session.saved_at_s() == 0) return "?";
  return absl::FormatTime("%Y-%m-%d %H:%M:%S",
                          absl::FromUnixSeconds(session.saved_at_s()),
                          absl::LocalTimeZone());
}

void Show(const v1::Session& session, absl::string_view done, bool json) {
  if (json) {
    PrintJsonLine(ToJson(session));
    return;
  }
  std::cout << done << " session " << session.name() << ": " << session.tokens()
            << " tokens, " << HumanBytes(session.file_bytes()) << "\n";
}

void Show(const v1::ListSessionsResponse& list, bool json) {
  if (json) {
    nlohmann::json sessions = nlohmann::json::array();
    for (const v1::Session& session : list.sessions()) {
      sessions.push_back(ToJson(session));
    }
    PrintJsonLine({{"sessions", sessions}});
    return;
  }
  if (list.sessions().empty()) {
    std::cout << "no sessions\n";
    return;
  }
  Table table({"session", "tokens", "file", "saved", "problem"});
  for (const v1::Session& session : list.sessions()) {
    table.Add({session.name(), absl::StrCat(session.tokens()),
               HumanBytes(session.file_bytes()), SavedAt(session),
               session.problem().empty() ? "none" : session.problem()});
  }
  std::cout << table.ToString(Colours());
}

int Save(const CtlOptions& options) {
  const auto request = MakeSaveRequest(options);
  if (!request.ok()) return ReportStatus(request.status());
  return WithClient(
      options.connection,
      [&](Client& client, const CallOptions& call) -> absl::Status {
        MLAD_ASSIGN_OR_RETURN(const v1::Session session,
                              client.SaveSession(*request, call));
        Show(session, "saved", options.json);
        return absl::OkStatus();
      });
}

absl::Status Act(Client& client, const CallOptions& call,
                 const CtlOptions& options) {
  if (options.action == "list") {
    MLAD_ASSIGN_OR_RETURN(const v1::ListSessionsResponse list,
                          client.ListSessions(call));
    Show(list, options.json);
    return absl::OkStatus();
  }
  if (options.action == "restore") {
    MLAD_ASSIGN_OR_RETURN(const v1::Session session,
                          client.RestoreSession(options.session, call));
    Show(session, "restored", options.json);
    return absl::OkStatus();
  }
  MLAD_RETURN_IF_ERROR(client.DropSession(options.session, call));
  if (options.json) {
    PrintJsonLine({{"name", options.session}});
  } else {
    std::cout << "dropped session " << options.session << "\n";
  }
  return absl::OkStatus();
}

}  // namespace

int RunSession(const CtlOptions& options) {
  if (options.action != "list" && options.session.empty()) {
    return ReportStatus(absl::InvalidArgumentError(absl::StrCat(
        "'session ", options.action, "' needs the session's name")));
  }
  if (options.action == "save") return Save(options);
  return WithClient(options.connection,
                    [&](Client& client, const CallOptions& call) {
                      return Act(client, call, options);
                    });
}

}  // namespace mlad
