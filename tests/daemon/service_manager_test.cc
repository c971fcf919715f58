// What is said to the service manager, on a socket that stands in for it.
#include "daemon/service_manager.h"

#include <array>
#include <cstdlib>
#include <string>

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mlad {
namespace {

using testing::HasSubstr;

/// A datagram socket in the abstract namespace, as systemd's may be.
class ServiceManagerTest : public testing::Test {
 protected:
  ServiceManagerTest()
      : socket_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    EXPECT_EQ(
        bind(socket_, reinterpret_cast<sockaddr*>(&name), sizeof(sa_family_t)),
        0);  // the kernel chooses a name
    socklen_t length = sizeof name;
    getsockname(socket_, reinterpret_cast<sockaddr*>(&name), &length);
    name.sun_path[0] = '@';
    const std::string path(name.sun_path,
                           length - offsetof(sockaddr_un, sun_path));
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~ServiceManagerTest() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                             "LISTEN_FDS", "LISTEN_PID"}) {
      unsetenv(name);
    }
    close(socket_);
  }

  /// The next message, and the descriptor that came with it, or -1.
  std::string Receive(int* descriptor = nullptr) const {
    std::array<char, 1024> text;
    std::array<char, CMSG_SPACE(sizeof(int))> control;
    iovec part = {text.data(), text.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = recvmsg(socket_, &message, MSG_DONTWAIT);
    if (size < 0) return "";
    if (descriptor != nullptr) {
      const cmsghdr* header = CMSG_FIRSTHDR(&message);
      *descriptor = header == nullptr
                        ? -1
                        : *reinterpret_cast<const int*>(CMSG_DATA(header));
    }
    return {text.data(), static_cast<size_t>(size)};
  }

  static void SetWatchdog(absl::Duration timeout) {
    setenv("WATCHDOG_USEC",
           std::to_string(absl::ToInt64Microseconds(timeout)).c_str(), 1);
    setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  }

 private:
  int socket_;
};

TEST_F(ServiceManagerTest, HearsOfEveryStage) {
  const ServiceManager manager = ServiceManager::FromEnvironment();
  EXPECT_TRUE(manager.is_listening());
  manager.SayLoading(0.42);
  const std::string loading = Receive();
  EXPECT_THAT(loading, HasSubstr("STATUS=Loading, 42%"));
  EXPECT_THAT(loading, HasSubstr("EXTEND_TIMEOUT_USEC=120000000"));
  EXPECT_THAT(loading, testing::Not(HasSubstr("READY")));
  manager.SayServing("Serving x");
  EXPECT_EQ(Receive(), "READY=1\nSTATUS=Serving x");
  manager.SayReloading();
  EXPECT_THAT(Receive(), HasSubstr("RELOADING=1\nMONOTONIC_USEC="));
  manager.SayStopping("bye", absl::Seconds(30));
  EXPECT_EQ(Receive(), "STOPPING=1\nSTATUS=bye\nEXTEND_TIMEOUT_USEC=30000000");
}

TEST_F(ServiceManagerTest, WatchdogHearsOfABusyEngineUntilItIsStuck) {
  SetWatchdog(absl::Seconds(8));
  const ServiceManager manager = ServiceManager::FromEnvironment();
  EXPECT_EQ(manager.keep_alive_interval(), absl::Seconds(2));
  EXPECT_FALSE(manager.IsStuck(absl::ZeroDuration()));
  manager.KeepAlive(absl::ZeroDuration());
  EXPECT_EQ(Receive(), "WATCHDOG=1");
  EXPECT_FALSE(manager.IsStuck(absl::Seconds(7)));
  manager.KeepAlive(absl::Seconds(7));
  EXPECT_EQ(Receive(), "WATCHDOG=1");
  EXPECT_TRUE(manager.IsStuck(absl::Seconds(8)));
  manager.KeepAlive(absl::Seconds(8));
  EXPECT_EQ(Receive(), "WATCHDOG=trigger");
}

TEST_F(ServiceManagerTest, WithoutAWatchdogNothingIsSaid) {
  const ServiceManager manager = ServiceManager::FromEnvironment();
  EXPECT_FALSE(manager.keep_alive_interval().has_value());
  EXPECT_FALSE(manager.IsStuck(absl::Hours(1)));
  manager.KeepAlive(absl::Hours(1));
  EXPECT_EQ(Receive(), "");
}

TEST_F(ServiceManagerTest, KeepsDescriptors) {
  const ServiceManager manager = ServiceManager::FromEnvironment();
  const int file = memfd_create("kept", MFD_CLOEXEC);
  ASSERT_TRUE(manager.Store(file, "mlad-kept").ok());
  int received = -1;
  EXPECT_EQ(Receive(&received), "FDSTORE=1\nFDNAME=mlad-kept");
  struct stat mine {};
  struct stat theirs {};
  ASSERT_EQ(fstat(file, &mine), 0);
  ASSERT_EQ(fstat(received, &theirs), 0);
  EXPECT_EQ(mine.st_ino, theirs.st_ino);
  manager.Forget("mlad-kept");
  EXPECT_EQ(Receive(), "FDSTOREREMOVE=1\nFDNAME=mlad-kept");
  close(file);
  close(received);
}

TEST_F(ServiceManagerTest, NobodyIsThere) {
  unsetenv("NOTIFY_SOCKET");
  const ServiceManager manager = ServiceManager::FromEnvironment();
  EXPECT_FALSE(manager.is_listening());
  EXPECT_TRUE(manager.sockets().empty());
  EXPECT_TRUE(manager.stored().empty());
  manager.SayServing("x");
  EXPECT_EQ(manager.Store(0, "x").code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace mlad
