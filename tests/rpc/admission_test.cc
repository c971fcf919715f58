// Limits of clients, shares, and refusals that say when to come again.
#include <string>

#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/create_channel.h"
#include "gtest/gtest.h"
#include "mlad/v1/inference.grpc.pb.h"
#include "tests/rpc/server_fixture.h"

#include "base/retry_hint.h"
#include "rpc/access_control.h"

namespace mlad {
namespace {

using testing::HasSubstr;

class Admission : public ServerFixture {
 protected:
  static ServerOptions Options() {
    ServerOptions options = LoopbackOptions();
    options.max_tokens = 100;
    return options;
  }
  explicit Admission(ServerOptions options = Options())
      : ServerFixture(std::move(options)) {}
};

TEST_F(Admission, ARefusalTellsWhenToComeAgain) {
  engine().SetRefusal(BusyError("The queue is full", absl::Milliseconds(1500)));
  const absl::Status status = Collect(client(), GenerateText("p")).status;
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("The queue is full; retry in 1.5s."));
  EXPECT_EQ(RetryHintOf(status), absl::Milliseconds(1500));
}

TEST_F(Admission, TheHintIsWhatClientsOfOthersLookFor) {
  engine().SetRefusal(BusyError("The queue is full", absl::Milliseconds(1500)));
  const auto stub = v1::Inference::NewStub(
      grpc::CreateChannel(address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  v1::GenerateResponse response;
  const auto reader = stub->Generate(&context, GenerateText("p"));
  EXPECT_FALSE(reader->Read(&response));
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  ASSERT_EQ(
      context.GetServerTrailingMetadata().count("grpc-status-details-bin"), 1u);
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(details.message(), status.error_message());
  ASSERT_EQ(details.details_size(), 1);
  EXPECT_EQ(details.details(0).type_url(),
            "type.googleapis.com/google.rpc.RetryInfo");
  google::rpc::RetryInfo info;
  ASSERT_TRUE(details.details(0).UnpackTo(&info));
  EXPECT_EQ(info.retry_delay().seconds(), 1);
  EXPECT_EQ(info.retry_delay().nanos(), 500'000'000);
}

TEST_F(Admission, OtherErrorsHaveNoHint) {
  engine().SetRefusal(absl::ResourceExhaustedError("the cache is too small"));
  EXPECT_FALSE(
      RetryHintOf(Collect(client(), GenerateText("p")).status).has_value());
}

TEST_F(Admission, WithoutRulesTheAddressIsTheClient) {
  EXPECT_TRUE(Collect(client(), GenerateText("p")).status.ok());
  EXPECT_EQ(engine().last_request().client, "127.0.0.1");
  v1::ScoreRequest score;
  score.set_text("ab");
  EXPECT_TRUE(client().Score(score).ok());
  EXPECT_EQ(engine().last_score_request().client, "127.0.0.1");
}

TEST_F(Admission, PrioritiesReachTheEngineAndAreChecked) {
  v1::GenerateRequest request = GenerateText("p");
  request.mutable_options()->set_priority(-7);
  EXPECT_TRUE(Collect(client(), request).status.ok());
  EXPECT_EQ(engine().last_request().priority, -7);
  request.mutable_options()->set_priority(11);
  const absl::Status status = Collect(client(), request).status;
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("options.priority"));
  v1::ScoreRequest score;
  score.set_text("ab");
  score.set_priority(3);
  EXPECT_TRUE(client().Score(score).ok());
  EXPECT_EQ(engine().last_score_request().priority, 3);
}

TEST_F(Admission, TheDaemonsLimitOfAnAnswer) {
  v1::GenerateRequest request = GenerateText("p");
  EXPECT_TRUE(Collect(client(), request).status.ok());
  EXPECT_EQ(engine().last_request().token_limit, 100);
  EXPECT_EQ(engine().last_request().max_tokens, 0);
  request.mutable_options()->set_max_tokens(100);
  EXPECT_TRUE(Collect(client(), request).status.ok());
  request.mutable_options()->set_max_tokens(101);
  const absl::Status status = Collect(client(), request).status;
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()), HasSubstr("100"));
}

class Limited : public Admission {
 protected:
  static ServerOptions Rules() {
    ServerOptions options = Options();
    AccessEntry entry;
    entry.name = "web";
    entry.token_sha256 = HashToken("secret");
    entry.may_infer = true;
    entry.limits = {.max_tokens = 40, .max_context = 50, .max_priority = 2};
    AccessEntry hurried;
    hurried.name = "hurried";
    hurried.token_sha256 = HashToken("other");
    hurried.may_infer = true;
    hurried.requests_per_minute = 1;
    options.access = AccessRules{{entry, hurried}};
    return options;
  }
  Limited() : Admission(Rules()) {}

  std::unique_ptr<Client> With(const std::string& token) {
    ConnectOptions options;
    options.token = token;
    auto client = Client::Connect(address(), options);
    EXPECT_TRUE(client.ok()) << client.status();
    return *std::move(client);
  }
};

TEST_F(Limited, AClientsOwnLimitsApply) {
  const auto web = With("secret");
  v1::GenerateRequest request = GenerateText("p");  // 2 tokens with BOS
  EXPECT_TRUE(Collect(*web, request).status.ok());
  EXPECT_EQ(engine().last_request().client, "web");
  EXPECT_EQ(engine().last_request().token_limit, 40);

  request.set_text(std::string(19, 'x'));
  EXPECT_TRUE(Collect(*web, request).status.ok());
  EXPECT_EQ(engine().last_request().token_limit, 30);
  request.mutable_options()->set_max_tokens(31);
  EXPECT_EQ(Collect(*web, request).status.code(),
            absl::StatusCode::kOutOfRange);
  request.set_text("p");
  request.mutable_options()->set_max_tokens(41);
  EXPECT_EQ(Collect(*web, request).status.code(),
            absl::StatusCode::kOutOfRange);
  request.mutable_options()->clear_max_tokens();
  request.set_text(std::string(49, 'x'));
  EXPECT_EQ(Collect(*web, request).status.code(),
            absl::StatusCode::kOutOfRange);

  request.set_text("p");
  request.mutable_options()->set_priority(2);
  EXPECT_TRUE(Collect(*web, request).status.ok());
  request.mutable_options()->set_priority(3);
  const absl::Status status = Collect(*web, request).status;
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()), HasSubstr("at most 2"));

  v1::ScoreRequest score;
  score.set_text(std::string(50, 'x'));  // 51 with BOS
  EXPECT_EQ(web->Score(score).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(Limited, TooManyRequestsAMinuteTellWhenToComeAgain) {
  const auto hurried = With("other");
  EXPECT_TRUE(Collect(*hurried, GenerateText("p")).status.ok());
  const absl::Status status = Collect(*hurried, GenerateText("p")).status;
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  const auto hint = RetryHintOf(status);
  ASSERT_TRUE(hint.has_value());
  EXPECT_GT(*hint, absl::Seconds(30));
  EXPECT_LE(*hint, absl::Minutes(1));
}

}  // namespace
}  // namespace mlad
