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
    Params params) {
  const int stop_event = eventfd(0, EFD_CLOEXEC);
  if (stop_event < 0) {
    return absl::InternalError(
        absl::StrCat("cannot watch sockets: ", std::strerror(errno)));
  }
  return std::unique_ptr<SocketAcceptor>(
      new SocketAcceptor(std::move(params), stop_event));
}

SocketAcceptor::SocketAcceptor(Params params, int stop_event)
    : params_(std::move(params)), stop_event_(stop_event) {
  for (const ListeningSocket& socket : params_.sockets) {
    listeners_.push_back({socket.descriptor(), socket.is_unix()});
  }
  for (const InheritedSocket& socket : params_.inherited) {
    listeners_.push_back({socket.descriptor, socket.address.is_unix()});
    // A client that has gone away again must not block the others.
    fcntl(socket.descriptor, F_SETFL,
          fcntl(socket.descriptor, F_GETFL) | O_NONBLOCK);
  }
}

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
  for (const Listener& listener : listeners_) {
    watched.push_back({listener.descriptor, POLLIN, 0});
  }
  while (poll(watched.data(), watched.size(), -1) >= 0 || errno == EINTR) {
    if (watched[0].revents != 0) return;
    for (size_t i = 0; i < listeners_.size(); ++i) {
      if (watched[i + 1].revents != 0) AcceptFrom(listeners_[i]);
    }
  }
}

void SocketAcceptor::AcceptFrom(const Listener& listener) {
  const int connection = accept4(listener.descriptor, nullptr, nullptr,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (connection < 0) {
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
      pollfd stop = {stop_event_, POLLIN, 0};
      poll(&stop, 1, kRetryMs);
    }
    return;
  }
  if (listener.is_unix) {
    params_.take_unix(listener.descriptor, connection);
    return;
  }
  // The system gives the lowest free number: so many are open at least.
  if (connection - stop_event_ > params_.max_connections) {
    close(connection);
    return;
  }
  // As gRPC sets it for the sockets it binds: a token does not wait.
  const int on = 1;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  params_.take_tcp(listener.descriptor, connection);
}

}  // namespace mlad
