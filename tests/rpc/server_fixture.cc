#include "tests/rpc/server_fixture.h"

#include <utility>

#include "base/check.h"

namespace mlad {

ServerOptions LoopbackOptions() {
  ServerOptions options;
  options.addresses = {{.host = "127.0.0.1", .port = 0, .unix_path = ""}};
  options.daemon_version = "1.2.3";
  return options;
}

ServerFixture::ServerFixture(ServerOptions options, absl::Duration pause)
    : model_(pause) {
  auto server = Server::Start(std::move(options));
  MLAD_CHECK(server.ok());
  server_ = *std::move(server);
  server_->SetModel(model_);
  client_ = NewClient();
}

std::unique_ptr<Client> ServerFixture::NewClient() const {
  auto client = Client::Connect(address(), absl::Seconds(20));
  MLAD_CHECK(client.ok());
  return *std::move(client);
}

v1::GenerateRequest GenerateText(const std::string& prompt) {
  v1::GenerateRequest request;
  request.set_text(prompt);
  return request;
}

Answer Collect(Client& client, const v1::GenerateRequest& request,
               const CallOptions& options) {
  Answer answer;
  answer.status = client.Generate(
      request,
      [&](const v1::GenerateResponse& message) {
        answer.messages.push_back(message);
        answer.text += message.token().text() + message.finish().text();
        if (message.has_finish()) answer.finish = message.finish();
        return true;
      },
      options);
  return answer;
}

}  // namespace mlad
