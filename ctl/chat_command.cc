#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "base/status.h"
#include "ctl/commands.h"
#include "ctl/exit_status.h"
#include "ctl/generation_options.h"
#include "ctl/input.h"
#include "ctl/session.h"
#include "ctl/stream_printer.h"
#include "ctl/terminal.h"

namespace mlad {
namespace {

void AddMessage(v1::ChatRequest& request, const std::string& role,
                const std::string& content) {
  v1::ChatMessage& message = *request.add_messages();
  message.set_role(role);
  message.set_content(content);
}

/// Asks, shows the answer and adds it to the conversation.
absl::Status Ask(Client& client, const CallOptions& call, bool json,
                 v1::ChatRequest& request) {
  StreamPrinter printer(json);
  const absl::Status status = client.Chat(
      request,
      [&](const v1::GenerateResponse& message) {
        printer.Show(message);
        return true;
      },
      call);
  if (status.ok() || !printer.text().empty()) printer.Finish();
  AddMessage(request, "assistant", printer.text());
  return status;
}

/// A message, of one line or several. False at the end of the input.
bool ReadMessage(std::string& message) {
  const Colours colours;
  std::cout << colours.Bold("> ") << std::flush;
  message.clear();
  std::string line;
  while (std::getline(std::cin, line)) {
    const bool goes_on = !line.empty() && line.back() == '\\';
    if (goes_on) line.back() = '\n';
    message += line;
    if (!goes_on) return true;
    std::cout << colours.Bold("... ") << std::flush;
  }
  return false;
}

/// Does what the message asks for. Returns what ends the conversation.
absl::Status Answer(Client& client, const ConnectionOptions& connection,
                    const std::string& message, v1::ChatRequest& request) {
  const int before = request.messages_size();
  AddMessage(request, "user", message);
  const absl::Status status =
      Interruptible(connection, [&](const CallOptions& call) {
        return Ask(client, call, /*json=*/false, request);
      });
  switch (ExitStatus(status)) {
    case kExitDone:
    case kExitInterrupted:  // the answer, so far as it went, stands
      return absl::OkStatus();
    case kExitUsage:
    case kExitBusy:
    case kExitTimeout:  // as if it had not been asked
      ReportStatus(status);
      request.mutable_messages()->DeleteSubrange(
          before, request.messages_size() - before);
      return absl::OkStatus();
    default:
      return status;
  }
}

absl::Status Converse(const ConnectionOptions& connection,
                      const v1::ChatRequest& opening) {
  std::unique_ptr<Client> client;
  MLAD_RETURN_IF_ERROR(
      Interruptible(connection, [&](const CallOptions&) -> absl::Status {
        MLAD_ASSIGN_OR_RETURN(client, Connect(connection));
        return absl::OkStatus();
      }));
  std::cerr
      << "Type a message and Enter; a line that ends in \\ goes on in the "
         "next. Ctrl-C stops an answer, /clear forgets the conversation, "
         "Ctrl-D ends it.\n";
  v1::ChatRequest request = opening;
  std::string message;
  while (ReadMessage(message)) {
    if (message.empty()) continue;
    if (message == "/clear") {
      request = opening;
      continue;
    }
    MLAD_RETURN_IF_ERROR(Answer(*client, connection, message, request));
  }
  std::cout << std::endl;
  return absl::OkStatus();
}

}  // namespace

int RunChat(const CtlOptions& options) {
  v1::ChatRequest request;
  auto generation = MakeGenerationOptions(options.sampling);
  if (!generation.ok()) return ReportStatus(generation.status());
  *request.mutable_options() = *std::move(generation);
  if (!options.system.empty()) AddMessage(request, "system", options.system);
  const bool converse = options.input.words.empty() &&
                        options.input.file.empty() && IsTerminal(0) &&
                        !options.json;
  if (converse) return ReportStatus(Converse(options.connection, request));
  auto text = ReadInputText(options.input);
  if (!text.ok()) return ReportStatus(text.status());
  if (options.input.words.empty() && !text->empty() && text->back() == '\n') {
    text->pop_back();  // the file's or the pipe's, not the question's
  }
  AddMessage(request, "user", *text);
  return WithClient(options.connection,
                    [&](Client& client, const CallOptions& call) {
                      return Ask(client, call, options.json, request);
                    });
}

}  // namespace mlad
