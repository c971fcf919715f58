// What clients get for bad requests, over a real connection.
#include <functional>
#include <string>

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/rpc/server_fixture.h"

#include "rpc/status_mapping.h"
#include "rpc/wire_message.h"

namespace mlad {
namespace {

using testing::HasSubstr;

class RequestErrors : public ServerFixture {
 protected:
  /// Sends bytes that the client library would refuse to send.
  absl::Status CallRaw(const std::string& method, const std::string& bytes) {
    const auto channel =
        grpc::CreateChannel(address(), grpc::InsecureChannelCredentials());
    grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> stub(
        channel);
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    const grpc::Slice slice(bytes);
    const auto call = stub.PrepareUnaryCall(
        &context, method, grpc::ByteBuffer(&slice, 1), &queue);
    call->StartCall();
    grpc::ByteBuffer response;
    grpc::Status status;
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return ToAbslStatus(status);
  }
};

void ExpectInvalid(const absl::Status& status, const std::string& message) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(message));
}

TEST_F(RequestErrors, Generate) {
  using Request = v1::GenerateRequest;
  const struct {
    std::function<void(Request&)> change;
    const char* message;
  } cases[] = {
      {[](Request&) {}, "neither text nor tokens is set"},
      {[](Request& r) { r.set_text(""); }, "text is empty"},
      {[](Request& r) { r.mutable_tokens(); }, "tokens.ids is empty"},
      {[](Request& r) { r.mutable_tokens()->add_ids(kFakeVocab); },
       "tokens.ids[0] is 260; it must be in [0, 260)"},
      {[](Request& r) { r.mutable_tokens()->add_ids(-1); },
       "tokens.ids[0] is -1"},
      {[](Request& r) {
         r.set_text("p");
         r.mutable_options()->mutable_sampling()->set_temperature(-1);
       },
       "options.sampling.temperature is -1"},
      {[](Request& r) {
         r.set_text("p");
         r.mutable_options()->set_max_tokens(0);
       },
       "options.max_tokens is 0"},
  };
  for (const auto& expected : cases) {
    Request request;
    expected.change(request);
    ExpectInvalid(Collect(client(), request).status, expected.message);
  }
  EXPECT_EQ(engine().stats().requests, 0);
}

TEST_F(RequestErrors, Chat) {
  v1::ChatRequest request;
  const auto chat = [&] {
    return client().Chat(request, [](const auto&) { return true; });
  };
  ExpectInvalid(chat(), "messages is empty");
  request.add_messages()->set_role("bot");
  ExpectInvalid(chat(), "messages[0].role is 'bot'");
  request.mutable_messages(0)->set_role("user");
  request.mutable_options()->set_logprobs(50);
  ExpectInvalid(chat(), "options.logprobs is 50");
}

TEST_F(RequestErrors, Score) {
  v1::ScoreRequest request;
  ExpectInvalid(client().Score(request).status(), "neither text nor tokens");
  request.mutable_tokens()->add_ids(1);
  ExpectInvalid(client().Score(request).status(), "at least two");
  request.mutable_tokens()->add_ids(2);
  request.set_top_logprobs(21);
  ExpectInvalid(client().Score(request).status(), "top_logprobs is 21");
}

TEST_F(RequestErrors, Detokenize) {
  v1::DetokenizeRequest request;
  request.add_ids(0);
  request.add_ids(1 << 30);
  ExpectInvalid(client().Detokenize(request).status(), "ids[1] is 1073741824");
}

TEST_F(RequestErrors, TextThatIsNotUtf8) {
  for (const char* method : {"Generate", "Score", "Tokenize"}) {
    ExpectInvalid(CallRaw(std::string("/mlad.v1.Inference/") + method,
                          "\x0A\x03"
                          "ab\xFF"),
                  "text is not valid UTF-8 at byte 2");
  }
  ExpectInvalid(CallRaw("/mlad.v1.Inference/Chat", "\x0A\x04\x12\x02\xC3("),
                "messages[0].content is not valid UTF-8 at byte 0");
  ExpectInvalid(CallRaw("/grpc.health.v1.Health/Check", "\x0A\x01\xFF"),
                "service is not valid UTF-8");
}

TEST_F(RequestErrors, BytesThatAreNoMessage) {
  for (const char* method :
       {"/mlad.v1.Inference/Generate", "/mlad.v1.Inference/Detokenize",
        "/mlad.v1.Admin/GetStats", "/mlad.v1.Admin/WatchStats",
        "/grpc.health.v1.Health/Watch"}) {
    ExpectInvalid(CallRaw(method, "\xFF\xFF\xFF"), "the request is no ");
  }
}

TEST_F(RequestErrors, RequestsBeyondGrpcsDefaultLimitAreRead) {
  v1::GenerateRequest request = GenerateText(std::string(5 << 20, 'x'));
  request.mutable_options()->set_logprobs(21);
  ExpectInvalid(Collect(client(), request).status, "options.logprobs is 21");
}

TEST_F(RequestErrors, UnknownMethods) {
  EXPECT_EQ(CallRaw("/mlad.v1.Inference/Guess", "").code(),
            absl::StatusCode::kUnimplemented);
}

class RequestSize : public ServerFixture {
 protected:
  static ServerOptions Options() {
    ServerOptions options = LoopbackOptions();
    options.max_request_bytes = 1 << 20;
    return options;
  }
  RequestSize() : ServerFixture(Options()) {}
};

TEST_F(RequestSize, LargerRequestsAreRefused) {
  const Answer answer =
      Collect(client(), GenerateText(std::string(2 << 20, 'x')));
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kResourceExhausted)
      << answer.status;
  EXPECT_TRUE(Collect(client(), GenerateText("small")).status.ok());
}

}  // namespace
}  // namespace mlad
