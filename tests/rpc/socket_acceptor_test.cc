// Sockets that are there before the server.
#include "rpc/socket_acceptor.h"

#include <cstdlib>
#include <filesystem>
#include <string>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gtest/gtest.h"
#include "tests/rpc/server_fixture.h"

namespace mlad {
namespace {

class InheritedSockets : public testing::Test {
 protected:
  InheritedSockets() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "mlad-accept-XXXXXX")
            .string();
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  ~InheritedSockets() override {
    for (const int descriptor : descriptors_) close(descriptor);
    std::filesystem::remove_all(folder_);
  }

  int Bind(const sockaddr* name, socklen_t length) {
    const int descriptor = socket(name->sa_family, SOCK_STREAM, 0);
    descriptors_.push_back(descriptor);
    EXPECT_EQ(bind(descriptor, name, length), 0);
    EXPECT_EQ(listen(descriptor, 16), 0);
    return descriptor;
  }
  int BindTcp() {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return Bind(reinterpret_cast<sockaddr*>(&name), sizeof name);
  }
  int BindUnix() {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    (folder_ + "/s").copy(name.sun_path, sizeof name.sun_path - 1);
    return Bind(reinterpret_cast<sockaddr*>(&name), sizeof name);
  }
  /// A server on these sockets alone.
  static std::unique_ptr<Server> Serve(const std::vector<int>& descriptors) {
    ServerOptions options;
    options.addresses.clear();
    for (const int descriptor : descriptors) {
      const auto address = AddressOfSocket(descriptor);
      EXPECT_TRUE(address.ok()) << address.status();
      options.sockets.push_back({descriptor, *address});
    }
    auto server = Server::Start(options);
    EXPECT_TRUE(server.ok()) << server.status();
    return *std::move(server);
  }
  static void ExpectAnswer(int descriptor) {
    auto client = Client::Connect(AddressOfSocket(descriptor)->ToString());
    ASSERT_TRUE(client.ok()) << client.status();
    const Answer answer = Collect(**client, GenerateText("abc"));
    EXPECT_TRUE(answer.status.ok()) << answer.status;
    EXPECT_FALSE(answer.messages.empty());
  }

  std::string folder_;
  std::vector<int> descriptors_;
};

TEST_F(InheritedSockets, AreServed) {
  FakeServedModel model;
  const int tcp = BindTcp();
  const int unix_socket = BindUnix();
  const auto server = Serve({tcp, unix_socket});
  server->SetModel(model);
  ExpectAnswer(tcp);
  ExpectAnswer(unix_socket);
}

TEST_F(InheritedSockets, WhoConnectsBetweenTwoServersIsServedByTheSecond) {
  FakeServedModel first_model;
  FakeServedModel second_model;
  const int tcp = BindTcp();
  auto server = Serve({tcp});
  server->SetModel(first_model);
  ExpectAnswer(tcp);
  server->Shutdown(absl::Now());
  server.reset();

  sockaddr_in name{};
  socklen_t length = sizeof name;
  getsockname(tcp, reinterpret_cast<sockaddr*>(&name), &length);
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  descriptors_.push_back(client);
  EXPECT_EQ(connect(client, reinterpret_cast<sockaddr*>(&name), length), 0);

  server = Serve({tcp});
  server->SetModel(second_model);
  // HTTP/2's first frame, SETTINGS, comes from the server unasked.
  char byte = 0;
  EXPECT_EQ(recv(client, &byte, 1, 0), 1);
  ExpectAnswer(tcp);
}

TEST_F(InheritedSockets, KnowWhereTheyAre) {
  EXPECT_EQ(AddressOfSocket(BindUnix())->ToString(), "unix:" + folder_ + "/s");
  const auto tcp = AddressOfSocket(BindTcp());
  EXPECT_EQ(tcp->host, "127.0.0.1");
  EXPECT_GT(tcp->port, 0);
  EXPECT_EQ(AddressOfSocket(STDIN_FILENO).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace mlad
