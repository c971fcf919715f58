#include "rpc/listen_address.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mlad {
namespace {

using testing::HasSubstr;

TEST(ListenAddress, ReadsTheFormsItDocuments) {
  const struct {
    const char* text;
    const char* host;
    int port;
    const char* unix_path;
    const char* again;
  } cases[] = {
      {"localhost", "localhost", kDefaultPort, "", "localhost:6523"},
      {"127.0.0.1:80", "127.0.0.1", 80, "", "127.0.0.1:80"},
      {"host.example:0", "host.example", 0, "", "host.example:0"},
      {":65535", "", 65535, "", ":65535"},
      {"[::1]:7", "::1", 7, "", "[::1]:7"},
      {"[::]", "::", kDefaultPort, "", "[::]:6523"},
      {"unix:/run/mlad.sock", "127.0.0.1", kDefaultPort, "/run/mlad.sock",
       "unix:/run/mlad.sock"},
      {"unix:///run/mlad.sock", "127.0.0.1", kDefaultPort, "/run/mlad.sock",
       "unix:/run/mlad.sock"},
  };
  for (const auto& expected : cases) {
    const auto address = ParseListenAddress(expected.text);
    ASSERT_TRUE(address.ok()) << expected.text << ": " << address.status();
    EXPECT_EQ(address->host, expected.host) << expected.text;
    EXPECT_EQ(address->port, expected.port) << expected.text;
    EXPECT_EQ(address->unix_path, expected.unix_path) << expected.text;
    EXPECT_EQ(address->ToString(), expected.again);
  }
}

TEST(ListenAddress, RefusesWhatItCannotRead) {
  const std::string long_path = "unix:/" + std::string(107, 'x');
  for (const std::string& text :
       {std::string(""), std::string("host:"), std::string("host:65536"),
        std::string("host:-1"), std::string("host:+1"), std::string("host:1x"),
        std::string("::1"), std::string("[::1"), std::string("[::1]7"),
        std::string("[host]:7"), std::string("unix:"),
        std::string("unix:relative"), std::string("http://host:7"),
        std::string("a b:7"), long_path}) {
    const auto address = ParseListenAddress(text);
    ASSERT_FALSE(address.ok()) << text;
    EXPECT_EQ(address.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(address.status().message()),
                HasSubstr("'" + text + "'"));
  }
  // The longest path that a socket's name holds.
  EXPECT_TRUE(ParseListenAddress("unix:/" + std::string(106, 'x')).ok());
}

}  // namespace
}  // namespace mlad
