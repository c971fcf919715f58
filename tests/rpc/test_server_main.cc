// Serves a fake model for clients of other languages: prints "listening on
// ADDRESS" and serves until its input ends.
#include <algorithm>
#include <cstdio>
#include <string>

#include "tests/rpc/fake_served_model.h"
#include "tests/rpc/server_fixture.h"

#include "rpc/server.h"

int main() {
  mlad::FakeServedModel model;
  model.engine().SetScript([](const mlad::GenerationRequest& request) {
    mlad::FakeScript script =
        mlad::FakeServedModel::Say("Once upon a time there was a story. ");
    script.prompt_progress = {static_cast<int64_t>(request.prompt.size())};
    script.finish->reason = mlad::FinishReason::kMaxTokens;
    if (request.max_tokens > 0) {
      script.tokens.resize(
          std::min<size_t>(script.tokens.size(), request.max_tokens));
    }
    return script;
  });
  auto server = mlad::Server::Start(mlad::LoopbackOptions());
  if (!server.ok()) {
    std::fprintf(stderr, "%s\n", server.status().ToString().c_str());
    return 1;
  }
  (*server)->SetModel(model);
  std::printf("listening on %s\n",
              (*server)->addresses()[0].ToString().c_str());
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  (*server)->Shutdown(absl::Now());
  return 0;
}
