#include "rpc/listening_check.h"

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

#include "base/status.h"

namespace mlad {
namespace {

class Socket {
 public:
  explicit Socket(int family)
      : fd_(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

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

/// 0, or the error of binding to `info`.
int TryBind(const addrinfo& info) {
  const Socket probe(info.ai_family);
  if (probe.fd() < 0) return errno;
  // As gRPC does: a port whose old connections are still closing is free.
  const int on = 1;
  setsockopt(probe.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const bool bound = bind(probe.fd(), info.ai_addr, info.ai_addrlen) == 0 &&
                     listen(probe.fd(), 1) == 0;
  return bound ? 0 : errno;
}

absl::Status CheckTcp(const ListenAddress& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(address.host.empty() ? nullptr : address.host.c_str(),
                  std::to_string(address.port).c_str(), &hints, &found);
  if (error != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        CannotListen(address), "the host is unknown (", gai_strerror(error),
        "); give a name or address of this machine"));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found,
                                                                 freeaddrinfo);
  // A name may have several addresses. One will do, since a machine may lack
  // IPv6; but none may belong to somebody else.
  bool any_is_free = false;
  int first_error = 0;
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    const int bind_error = TryBind(*info);
    if (bind_error == EADDRINUSE) return BindError(address, bind_error);
    if (bind_error == 0) any_is_free = true;
    if (first_error == 0) first_error = bind_error;
  }
  if (any_is_free) return absl::OkStatus();
  return BindError(address, first_error);
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

absl::Status CheckUnix(const ListenAddress& address) {
  MLAD_RETURN_IF_ERROR(CheckFolder(address));
  const char* const path = address.unix_path.c_str();
  struct stat existing {};
  if (lstat(path, &existing) != 0) return absl::OkStatus();
  if (!S_ISSOCK(existing.st_mode)) {
    return absl::AlreadyExistsError(
        absl::StrCat(CannotListen(address),
                     "the file is there and is no socket; remove it or choose "
                     "another path"));
  }
  const Socket probe(AF_UNIX);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  address.unix_path.copy(name.sun_path, sizeof name.sun_path - 1);
  if (probe.fd() < 0) return BindError(address, errno);
  if (connect(probe.fd(), reinterpret_cast<const sockaddr*>(&name),
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

}  // namespace

absl::Status CheckCanListen(const ListenAddress& address) {
  return address.is_unix() ? CheckUnix(address) : CheckTcp(address);
}

}  // namespace mlad
