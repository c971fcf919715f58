#include "rpc/socket_acceptor.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace mlad {
namespace {

/// Between attempts when the process has no descriptor left for a connection.
constexpr int kRetryMs = 100;

/// A number, or "" for every interface.
template <typename Address>
std::string HostText(int family, const Address& address) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(family, &address, text, sizeof text);
  const std::string host = text;
  return host == "::" || host == "0.0.0.0" ? "" : host;
}

}  // namespace

absl::StatusOr<ListenAddress> AddressOfSocket(int descriptor) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* const generic = reinterpret_cast<sockaddr*>(&storage);
  ListenAddress result;
  if (getsockname(descriptor, generic, &length) == 0) {
    if (storage.ss_family == AF_INET) {
      const auto& name = reinterpret_cast<const sockaddr_in&>(storage);
      result.host = HostText(AF_INET, name.sin_addr);
      result.port = ntohs(name.sin_port);
      return result;
    }
    if (storage.ss_family == AF_INET6) {
      const auto& name = reinterpret_cast<const sockaddr_in6&>(storage);
      result.host = HostText(AF_INET6, name.sin6_addr);
      result.port = ntohs(name.sin6_port);
      return result;
    }
    const auto& name = reinterpret_cast<const sockaddr_un&>(storage);
    if (storage.ss_family == AF_UNIX && name.sun_path[0] == '/') {
      result.unix_path = name.sun_path;
      return result;
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "descriptor ", descriptor,
      " was passed to listen on and is neither a TCP nor a unix socket with a "
      "path; see the socket unit's ListenStream="));
}

absl::StatusOr<std::unique_ptr<SocketAcceptor>> SocketAcceptor::Create(
    std::vector<InheritedSocket> sockets, std::unique_ptr<Sink> sink) {
  const int stop_event = eventfd(0, EFD_CLOEXEC);
  if (stop_event < 0) {
    return absl::InternalError(absl::StrCat("cannot watch the passed sockets: ",
                                            std::strerror(errno)));
  }
  for (const InheritedSocket& socket : sockets) {
    // A client that has gone away again must not block the others.
    fcntl(socket.descriptor, F_SETFL,
          fcntl(socket.descriptor, F_GETFL) | O_NONBLOCK);
  }
  return std::unique_ptr<SocketAcceptor>(
      new SocketAcceptor(std::move(sockets), std::move(sink), stop_event));
}

SocketAcceptor::SocketAcceptor(std::vector<InheritedSocket> sockets,
                               std::unique_ptr<Sink> sink, int stop_event)
    : sockets_(std::move(sockets)),
      sink_(std::move(sink)),
      stop_event_(stop_event) {}

SocketAcceptor::~SocketAcceptor() {
  eventfd_write(stop_event_, 1);
  if (thread_.joinable()) thread_.join();
  close(stop_event_);
}

void SocketAcceptor::Start() {
  thread_ = std::thread([this] { Run(); });
}

void SocketAcceptor::Run() {
  pthread_setname_np(pthread_self(), "mlad-accept");
  std::vector<pollfd> watched = {{stop_event_, POLLIN, 0}};
  for (const InheritedSocket& socket : sockets_) {
    watched.push_back({socket.descriptor, POLLIN, 0});
  }
  while (poll(watched.data(), watched.size(), -1) >= 0 || errno == EINTR) {
    if (watched[0].revents != 0) return;
    for (size_t i = 0; i < sockets_.size(); ++i) {
      if (watched[i + 1].revents != 0) AcceptFrom(sockets_[i]);
    }
  }
}

void SocketAcceptor::AcceptFrom(const InheritedSocket& socket) {
  const int descriptor = accept4(socket.descriptor, nullptr, nullptr,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (descriptor < 0) {
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
      pollfd stop = {stop_event_, POLLIN, 0};
      poll(&stop, 1, kRetryMs);
    }
    return;
  }
  if (!socket.address.is_unix()) {
    // As gRPC sets it for the sockets it binds: a token does not wait.
    const int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  Sink::NewConnectionParameters connection;
  connection.listener_fd = socket.descriptor;
  connection.fd = descriptor;
  sink_->HandleNewConnection(&connection);
}

}  // namespace mlad
