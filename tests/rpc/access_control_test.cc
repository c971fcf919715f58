#include "rpc/access_control.h"

#include <string>

#include <unistd.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mlad {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

constexpr uid_t kAlice = 4001, kBob = 4002;
constexpr gid_t kOperators = 5001;

AccessEntry Entry(const std::string& name) {
  AccessEntry entry;
  entry.name = name;
  entry.may_infer = true;
  return entry;
}

Caller WithToken(const std::string& token) {
  Caller caller;
  caller.token = token;
  return caller;
}

Caller FromUnix(uid_t user, std::vector<gid_t> groups = {}) {
  Caller caller;
  caller.unix_peer = {user, std::move(groups)};
  return caller;
}

class Access : public testing::Test {
 protected:
  Access() : control_(clock_) {
    AccessRules rules;
    rules.entries.push_back(Entry("web"));
    rules.entries.back().token_sha256 = HashToken("web-token");
    rules.entries.back().max_running = 2;
    rules.entries.push_back(Entry("batch"));
    rules.entries.back().token_sha256 = HashToken("batch-token");
    rules.entries.back().requests_per_minute = 3;
    rules.entries.push_back(Entry("gateway"));
    rules.entries.back().certificate_name = "gateway.example";
    rules.entries.push_back(Entry("alice"));
    rules.entries.back().user = kAlice;
    rules.entries.push_back(Entry("operators"));
    rules.entries.back().group = kOperators;
    rules.entries.back().may_infer = false;
    rules.entries.back().may_administer = true;
    control_.SetRules(std::move(rules));
  }

  StatusCode CodeOf(const Caller& caller, Role role = Role::kInfer) {
    return control_.Check(caller, role).status().code();
  }
  std::string ClientOf(const Caller& caller, Role role = Role::kInfer) {
    const auto pass = control_.Check(caller, role);
    return pass.ok() ? pass->client() : pass.status().ToString();
  }

  FakeClock clock_;
  AccessControl control_;
};

TEST_F(Access, WithoutRulesEverybodyMayDoEverything) {
  control_.SetRules(std::nullopt);
  EXPECT_EQ(CodeOf(Caller()), StatusCode::kOk);
  EXPECT_EQ(CodeOf(WithToken("nonsense"), Role::kAdmin), StatusCode::kOk);
}

TEST_F(Access, HashIsSha256) {
  // echo -n abc | sha256sum
  const Sha256 hash = HashToken("abc");
  EXPECT_EQ(hash[0], 0xba);
  EXPECT_EQ(hash[1], 0x78);
  EXPECT_EQ(hash[31], 0xad);
}

TEST_F(Access, EachKindOfIdentity) {
  EXPECT_EQ(ClientOf(WithToken("web-token")), "web");
  Caller certificate;
  certificate.certificate_names = {"other", "gateway.example"};
  EXPECT_EQ(ClientOf(certificate), "gateway");
  EXPECT_EQ(ClientOf(FromUnix(kAlice)), "alice");
  EXPECT_EQ(ClientOf(FromUnix(kBob, {1, kOperators}), Role::kAdmin),
            "operators");
  EXPECT_EQ(ClientOf(FromUnix(0), Role::kAdmin), "owner");
  EXPECT_EQ(ClientOf(FromUnix(geteuid()), Role::kInfer), "owner");
}

TEST_F(Access, WhoIsNotKnownIsUnauthenticated) {
  EXPECT_EQ(CodeOf(Caller()), StatusCode::kUnauthenticated);
  EXPECT_EQ(CodeOf(WithToken("")), StatusCode::kUnauthenticated);
  EXPECT_EQ(CodeOf(WithToken("web-toke")), StatusCode::kUnauthenticated);
  EXPECT_EQ(CodeOf(WithToken("web-token ")), StatusCode::kUnauthenticated);
  EXPECT_EQ(CodeOf(FromUnix(kBob, {1})), StatusCode::kUnauthenticated);
  Caller certificate;
  certificate.certificate_names = {"stranger"};
  EXPECT_EQ(CodeOf(certificate), StatusCode::kUnauthenticated);
  // The error tells nobody what the token was.
  EXPECT_THAT(ClientOf(WithToken("guess")), Not(HasSubstr("guess")));
}

TEST_F(Access, AWrongTokenDoesNotFallBackToAnotherIdentity) {
  Caller caller = FromUnix(kAlice);
  caller.token = "wrong";
  EXPECT_EQ(CodeOf(caller), StatusCode::kUnauthenticated);
  caller.token = "web-token";
  EXPECT_EQ(ClientOf(caller), "web");
}

TEST_F(Access, RolesAreKeptApart) {
  EXPECT_EQ(CodeOf(WithToken("web-token"), Role::kAdmin),
            StatusCode::kPermissionDenied);
  EXPECT_EQ(CodeOf(FromUnix(kBob, {kOperators}), Role::kInfer),
            StatusCode::kPermissionDenied);
}

TEST_F(Access, RequestsAtOnceAreLimitedPerClient) {
  auto first = control_.Check(WithToken("web-token"), Role::kInfer);
  auto second = control_.Check(WithToken("web-token"), Role::kInfer);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(CodeOf(WithToken("web-token")), StatusCode::kResourceExhausted);
  EXPECT_EQ(CodeOf(WithToken("batch-token")), StatusCode::kOk);
  first->Release();
  first->Release();  // once only
  auto third = control_.Check(WithToken("web-token"), Role::kInfer);
  ASSERT_TRUE(third.ok());
  EXPECT_EQ(CodeOf(WithToken("web-token")), StatusCode::kResourceExhausted);
  *third = AccessPass();
  EXPECT_EQ(CodeOf(WithToken("web-token")), StatusCode::kOk);
}

TEST_F(Access, RequestsAMinuteAreLimited) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(CodeOf(WithToken("batch-token")), StatusCode::kOk) << i;
  }
  EXPECT_EQ(CodeOf(WithToken("batch-token")), StatusCode::kResourceExhausted);
  clock_.Advance(absl::Seconds(19));
  EXPECT_EQ(CodeOf(WithToken("batch-token")), StatusCode::kResourceExhausted);
  clock_.Advance(absl::Seconds(2));
  EXPECT_EQ(CodeOf(WithToken("batch-token")), StatusCode::kOk);
  EXPECT_EQ(CodeOf(WithToken("batch-token")), StatusCode::kResourceExhausted);
  clock_.Advance(absl::Hours(1));  // no more than a minute's worth is saved
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(CodeOf(WithToken("batch-token")), StatusCode::kOk) << i;
  }
  EXPECT_EQ(CodeOf(WithToken("batch-token")), StatusCode::kResourceExhausted);
}

TEST_F(Access, NewRulesCountForTheNextCall) {
  auto running = control_.Check(WithToken("web-token"), Role::kInfer);
  ASSERT_TRUE(running.ok());
  AccessRules rules;
  rules.entries.push_back(Entry("web"));
  rules.entries.back().token_sha256 = HashToken("new-token");
  rules.entries.back().max_running = 1;
  control_.SetRules(std::move(rules));
  EXPECT_EQ(CodeOf(WithToken("web-token")), StatusCode::kUnauthenticated);
  EXPECT_EQ(CodeOf(WithToken("new-token")), StatusCode::kResourceExhausted);
  running->Release();
  EXPECT_EQ(CodeOf(WithToken("new-token")), StatusCode::kOk);
}

}  // namespace
}  // namespace mlad
