#include "daemon/access_file.h"

#include <cstdio>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mlad {
namespace {

using testing::HasSubstr;

class AccessFile : public testing::Test {
 protected:
  AccessFile()
      : path_(testing::TempDir() + "/access-" +
              testing::UnitTest::GetInstance()->current_test_info()->name() +
              ".toml") {}
  ~AccessFile() override { std::remove(path_.c_str()); }

  /// Of a client with these lines.
  absl::StatusOr<AccessRules> Read(const std::string& lines) {
    std::ofstream(path_) << "[[client]]\nname = \"web\"\ncertificate = \"w\"\n"
                         << "roles = [\"infer\"]\n"
                         << lines;
    return ReadAccessFile(path_);
  }

  const std::string path_;
};

TEST_F(AccessFile, LimitsOfRequests) {
  const auto rules = Read(
      "max_tokens = 100\nmax_context = 2000\nmax_priority = -2\n"
      "max_running = 3\nrequests_per_minute = 60\n");
  ASSERT_TRUE(rules.ok()) << rules.status();
  const AccessEntry& entry = rules->entries.at(0);
  EXPECT_EQ(entry.limits.max_tokens, 100);
  EXPECT_EQ(entry.limits.max_context, 2000);
  EXPECT_EQ(entry.limits.max_priority, -2);
  EXPECT_EQ(entry.max_running, 3);
  EXPECT_EQ(entry.requests_per_minute, 60);
}

TEST_F(AccessFile, WithoutLimitsThereAreNone) {
  const auto rules = Read("");
  ASSERT_TRUE(rules.ok()) << rules.status();
  const ClientLimits& limits = rules->entries.at(0).limits;
  EXPECT_EQ(limits.max_tokens, 0);
  EXPECT_EQ(limits.max_context, 0);
  EXPECT_EQ(limits.max_priority, kMaxPriority);
}

TEST_F(AccessFile, MistakesNameTheLine) {
  for (const std::string line :
       {"max_priority = 11", "max_priority = \"high\"", "max_tokens = 0",
        "max_context = 1.5", "max_tokns = 5"}) {
    const absl::Status status = Read(line + "\n").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << line;
    EXPECT_THAT(std::string(status.message()), HasSubstr(":5: ")) << line;
  }
  EXPECT_THAT(std::string(Read("max_tokns = 5\n").status().message()),
              HasSubstr("did you mean 'max_tokens'?"));
}

}  // namespace
}  // namespace mlad
