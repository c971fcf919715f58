// Addresses: several, unix sockets, and what stands in the way.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/rpc/server_fixture.h"

namespace mlad {
namespace {

using testing::HasSubstr;

class Listening : public testing::Test {
 protected:
  Listening() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "mlad-listen-XXXXXX")
            .string();
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  ~Listening() override { std::filesystem::remove_all(folder_); }

  static absl::StatusOr<std::unique_ptr<Server>> Listen(
      std::vector<ListenAddress> addresses) {
    ServerOptions options;
    options.addresses = std::move(addresses);
    return Server::Start(options);
  }
  ListenAddress Unix(const std::string& name = "s") const {
    return {.unix_path = folder_ + "/" + name};
  }
  static void ExpectError(const std::vector<ListenAddress>& addresses,
                          absl::StatusCode code, const std::string& message) {
    const absl::Status status = Listen(addresses).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  }

  std::string folder_;
};

constexpr auto kAlreadyExists = absl::StatusCode::kAlreadyExists;

TEST_F(Listening, OnSeveralAddressesAtOnce) {
  const auto server = Listen({{.host = "127.0.0.1", .port = 0},
                              {.host = "localhost", .port = 0},
                              {.host = "", .port = 0},
                              Unix()});
  ASSERT_TRUE(server.ok()) << server.status();
  ASSERT_EQ((*server)->addresses().size(), 4u);
  for (const ListenAddress& address : (*server)->addresses()) {
    EXPECT_TRUE(address.is_unix() || address.port > 0);
    const auto client = Client::Connect(address.ToString());
    ASSERT_TRUE(client.ok()) << address.ToString() << client.status();
    EXPECT_TRUE((*client)->GetStats().ok()) << address.ToString();
  }
}

TEST_F(Listening, APortInUseIsAnError) {
  const auto first = Listen({{.host = "127.0.0.1", .port = 0}});
  ASSERT_TRUE(first.ok()) << first.status();
  const ListenAddress address = (*first)->addresses()[0];
  ExpectError({address}, kAlreadyExists,
              "cannot listen on " + address.ToString() +
                  ": another program listens there; stop it or choose");
  ListenAddress everywhere = address;
  everywhere.host = "";
  ExpectError({everywhere}, kAlreadyExists, "another program listens there");
  ExpectError({{.host = "127.0.0.1", .port = 0}, address}, kAlreadyExists,
              address.ToString());
}

TEST_F(Listening, APortIsFreeAfterTheServerIsGone) {
  auto first = Listen({{.host = "127.0.0.1", .port = 0}});
  ASSERT_TRUE(first.ok()) << first.status();
  const ListenAddress address = (*first)->addresses()[0];
  ASSERT_TRUE((*Client::Connect(address.ToString()))->GetStats().ok());
  first->reset();
  EXPECT_TRUE(Listen({address}).ok());
}

TEST_F(Listening, BadAddresses) {
  ExpectError({}, absl::StatusCode::kInvalidArgument, "no address");
  ExpectError({{.host = "no-such-host.invalid", .port = 0}},
              absl::StatusCode::kInvalidArgument, "the host is unknown");
  // 192.0.2.0/24 is for documentation: no machine has it.
  ExpectError({{.host = "192.0.2.1", .port = 0}},
              absl::StatusCode::kInvalidArgument, "does not have that address");
  ExpectError({Unix(), Unix()}, absl::StatusCode::kInvalidArgument,
              "is given twice");
}

TEST_F(Listening, AUnixSocketHasItsPermissionsAndGoesAway) {
  ServerOptions options;
  options.addresses = {Unix()};
  options.unix_socket_mode = 0600;
  auto server = Server::Start(options);
  ASSERT_TRUE(server.ok()) << server.status();
  struct stat info {};
  ASSERT_EQ(stat(Unix().unix_path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  server->reset();
  EXPECT_FALSE(std::filesystem::exists(Unix().unix_path));
}

TEST_F(Listening, AStaleUnixSocketIsReplaced) {
  const int stale = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  Unix().unix_path.copy(name.sun_path, sizeof name.sun_path - 1);
  ASSERT_EQ(bind(stale, reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  close(stale);
  ASSERT_TRUE(std::filesystem::exists(Unix().unix_path));
  const auto server = Listen({Unix()});
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_TRUE(Client::Connect(Unix().ToString()).ok());
}

TEST_F(Listening, ALiveUnixSocketIsLeftAlone) {
  const auto first = Listen({Unix()});
  ASSERT_TRUE(first.ok()) << first.status();
  ExpectError({Unix()}, kAlreadyExists, "another program listens there");
  EXPECT_TRUE(Client::Connect(Unix().ToString()).ok());
}

TEST_F(Listening, OtherFilesAreLeftAlone) {
  std::ofstream(Unix("file").unix_path) << "precious";
  ExpectError({Unix("file")}, kAlreadyExists, "is no socket");
  EXPECT_EQ(std::filesystem::file_size(Unix("file").unix_path), 8u);
  ExpectError({Unix("missing/s")}, absl::StatusCode::kNotFound,
              "folder " + folder_ + "/missing does not exist; create it");
}

TEST_F(Listening, ConnectingToNobodyFailsSoonAndSaysWhere) {
  const absl::Time begin = absl::Now();
  for (const std::string& address :
       {std::string("127.0.0.1:1"), Unix("nobody").ToString()}) {
    const auto client = Client::Connect(address, absl::Seconds(30));
    EXPECT_EQ(client.status().code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(client.status().message()),
                HasSubstr("cannot reach mlad at " + address));
  }
  EXPECT_LT(absl::Now() - begin, absl::Seconds(20));
  EXPECT_EQ(Client::Connect("what:ever:1").status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace mlad
