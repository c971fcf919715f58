#include "rpc/listening_socket.h"

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

#include "base/status.h"

namespace mlad {
namespace {

/// What wait in a queue until they are accepted.
constexpr int kBacklog = 4096;

std::string CannotListen(const ListenAddress& address) {
  return absl::StrCat("cannot listen on ", address.ToString(), ": ");
}

absl::Status BindError(const ListenAddress& address, int error) {
  const std::string what = CannotListen(address);
  switch (error) {
    case EADDRINUSE:
      return absl::AlreadyExistsError(absl::StrCat(
          what,
          "another program listens there; stop it or choose another address"));
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(
          absl::StrCat(what, "no permission; choose a port of 1024 or above"));
    case EADDRNOTAVAIL:
      return absl::InvalidArgumentError(absl::StrCat(
          what,
          "this machine does not have that address; choose one of its "
          "own, or :",
          address.port, " for all of them"));
    default:
      return absl::UnavailableError(absl::StrCat(what, std::strerror(error)));
  }
}

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

absl::StatusOr<AddressList> Resolve(const ListenAddress& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(address.host.empty() ? nullptr : address.host.c_str(),
                  std::to_string(address.port).c_str(), &hints, &found);
  if (error == 0) return AddressList(found, freeaddrinfo);
  return absl::InvalidArgumentError(absl::StrCat(
      CannotListen(address), "the host is unknown (", gai_strerror(error),
      "); give a name or address of this machine"));
}

void SetOption(int descriptor, int level, int name, int value) {
  setsockopt(descriptor, level, name, &value, sizeof value);
}

/// Its error is errno.
absl::StatusOr<ListeningSocket> OpenTcp(const addrinfo& info,
                                        const ListenAddress& address) {
  ListeningSocket socket(
      ::socket(info.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
      /*is_unix=*/false);
  if (socket.descriptor() < 0) return BindError(address, errno);
  // A port whose old connections are still closing is free.
  SetOption(socket.descriptor(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (info.ai_family == AF_INET6) {
    // "[::]" is every interface; a name has its IPv4 addresses beside it.
    SetOption(socket.descriptor(), IPPROTO_IPV6, IPV6_V6ONLY,
              address.host == "::" ? 0 : 1);
  }
  if (bind(socket.descriptor(), info.ai_addr, info.ai_addrlen) != 0 ||
      listen(socket.descriptor(), kBacklog) != 0) {
    return BindError(address, errno);
  }
  return socket;
}

int PortOf(int descriptor) {
  sockaddr_storage name{};
  socklen_t length = sizeof name;
  getsockname(descriptor, reinterpret_cast<sockaddr*>(&name), &length);
  return ntohs(name.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(name).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(name).sin_port);
}

void SetPort(addrinfo& info, int port) {
  if (info.ai_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(info.ai_addr)->sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in*>(info.ai_addr)->sin_port = htons(port);
  }
}

absl::StatusOr<std::vector<ListeningSocket>> OpenAllTcp(
    ListenAddress& address) {
  MLAD_ASSIGN_OR_RETURN(const AddressList found, Resolve(address));
  // A name may have several addresses. One will do, since a machine may lack
  // IPv6; but none may belong to somebody else.
  std::vector<ListeningSocket> sockets;
  absl::Status first_error;
  for (addrinfo* info = found.get(); info != nullptr; info = info->ai_next) {
    SetPort(*info, address.port);
    absl::StatusOr<ListeningSocket> socket = OpenTcp(*info, address);
    if (socket.ok()) {
      sockets.push_back(*std::move(socket));
      if (address.port == 0) address.port = PortOf(sockets[0].descriptor());
    } else if (absl::IsAlreadyExists(socket.status())) {
      return socket.status();
    } else {
      first_error.Update(socket.status());
    }
  }
  if (sockets.empty()) return first_error;
  return sockets;
}

sockaddr_un UnixName(const ListenAddress& address) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  address.unix_path.copy(name.sun_path, sizeof name.sun_path - 1);
  return name;
}

absl::Status CheckFolder(const ListenAddress& address) {
  const size_t slash = address.unix_path.rfind('/');
  const std::string folder =
      slash == 0 ? "/" : address.unix_path.substr(0, slash);
  if (access(folder.c_str(), W_OK | X_OK) == 0) return absl::OkStatus();
  if (errno == ENOENT || errno == ENOTDIR) {
    return absl::NotFoundError(absl::StrCat(CannotListen(address), "folder ",
                                            folder,
                                            " does not exist; create it"));
  }
  return absl::PermissionDeniedError(
      absl::StrCat(CannotListen(address), "no permission to write to folder ",
                   folder, "; choose another or change its owner"));
}

/// Nothing of value is in the way; a stale socket is removed.
absl::Status ClearPath(const ListenAddress& address) {
  const char* const path = address.unix_path.c_str();
  struct stat existing {};
  if (lstat(path, &existing) != 0) return absl::OkStatus();
  if (!S_ISSOCK(existing.st_mode)) {
    return absl::AlreadyExistsError(
        absl::StrCat(CannotListen(address),
                     "the file is there and is no socket; remove it or choose "
                     "another path"));
  }
  const ListeningSocket probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
                              /*is_unix=*/true);
  const sockaddr_un name = UnixName(address);
  if (probe.descriptor() < 0) return BindError(address, errno);
  if (connect(probe.descriptor(), reinterpret_cast<const sockaddr*>(&name),
              sizeof name) == 0) {
    return BindError(address, EADDRINUSE);
  }
  // Refused: whoever made the socket is gone.
  if (errno != ECONNREFUSED || unlink(path) != 0) {
    return absl::PermissionDeniedError(absl::StrCat(
        CannotListen(address), "the socket is there and cannot be replaced (",
        std::strerror(errno), "); remove it or choose another path"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ListeningSocket> OpenUnix(const ListenAddress& address) {
  MLAD_RETURN_IF_ERROR(CheckFolder(address));
  MLAD_RETURN_IF_ERROR(ClearPath(address));
  ListeningSocket socket(
      ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
      /*is_unix=*/true);
  const sockaddr_un name = UnixName(address);
  if (socket.descriptor() < 0 ||
      bind(socket.descriptor(), reinterpret_cast<const sockaddr*>(&name),
           sizeof name) != 0) {
    return BindError(address, errno);
  }
  return socket;
}

}  // namespace

absl::StatusOr<std::vector<ListeningSocket>> ListeningSocket::Open(
    ListenAddress& address, mode_t unix_mode) {
  if (!address.is_unix()) return OpenAllTcp(address);
  MLAD_ASSIGN_OR_RETURN(ListeningSocket socket, OpenUnix(address));
  socket.owned_path_ = address.unix_path;
  if (chmod(address.unix_path.c_str(), unix_mode) != 0 ||
      listen(socket.descriptor(), kBacklog) != 0) {
    return BindError(address, errno);
  }
  std::vector<ListeningSocket> sockets;
  sockets.push_back(std::move(socket));
  return sockets;
}

ListeningSocket::~ListeningSocket() {
  if (!owned_path_.empty()) unlink(owned_path_.c_str());
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace mlad
