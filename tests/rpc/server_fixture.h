// A server on a free port of the loopback with a fake model, and a client.
#pragma once

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "tests/rpc/fake_served_model.h"

#include "rpc/client.h"
#include "rpc/server.h"

namespace mlad {

/// Options for a free port of the loopback.
ServerOptions LoopbackOptions();

class ServerFixture : public testing::Test {
 protected:
  /// `pause`: of the fake engine.
  explicit ServerFixture(ServerOptions options = LoopbackOptions(),
                         absl::Duration pause = absl::Milliseconds(1));

  FakeEngine& engine() { return model_.engine(); }
  Client& client() { return *client_; }
  std::string address() const { return server_->addresses()[0].ToString(); }
  std::unique_ptr<Client> NewClient() const;

  FakeServedModel model_;
  std::unique_ptr<Server> server_;  // serves model_
  std::unique_ptr<Client> client_;
};

/// A request for the continuation of `prompt`.
v1::GenerateRequest GenerateText(const std::string& prompt);

/// What a stream was, taken together.
struct Answer {
  std::string text;  // of tokens and finish
  std::vector<v1::GenerateResponse> messages;
  v1::Finish finish;
  absl::Status status;
};
Answer Collect(Client& client, const v1::GenerateRequest& request,
               const CallOptions& options = {});

}  // namespace mlad
