#include "rpc/unix_peers.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"

namespace mlad {
namespace {

constexpr std::string_view kPrefix = "fd:";

/// 0 when it is not open.
ino_t InodeOf(int descriptor) {
  struct stat info {};
  return fstat(descriptor, &info) == 0 ? info.st_ino : 0;
}

/// Nothing when the kernel does not say: the peer is nobody then.
std::optional<Caller::UnixPeer> AskKernel(int connection) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &credentials, &length) !=
      0) {
    return std::nullopt;
  }
  Caller::UnixPeer peer{credentials.uid, {}};
  length = 0;
  getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, nullptr, &length);
  peer.groups.resize(length / sizeof(gid_t));
  length = static_cast<socklen_t>(peer.groups.size() * sizeof(gid_t));
  if (getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, peer.groups.data(),
                 &length) != 0) {
    peer.groups.clear();
  }
  peer.groups.push_back(credentials.gid);
  return peer;
}

/// Above what the process opens otherwise, and with as many numbers to come.
int FirstNumber() {
  constexpr rlim_t kWanted = 1 << 10;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<int>(std::min(kWanted, limit.rlim_cur / 2));
}

}  // namespace

UnixPeers::UnixPeers(int64_t max_connections)
    : max_connections_(max_connections), next_number_(FirstNumber()) {}

void UnixPeers::ForgetClosed() {
  std::erase_if(connections_, [](const auto& entry) {
    return InodeOf(entry.first) != entry.second.inode;
  });
}

int UnixPeers::Register(int connection) {
  Connection entry{InodeOf(connection), AskKernel(connection)};
  const std::lock_guard lock(mutex_);
  if (std::ssize(connections_) >= max_connections_) ForgetClosed();
  int number = -1;
  if (std::ssize(connections_) < max_connections_) {
    number = fcntl(connection, F_DUPFD_CLOEXEC, next_number_);
    // From the start again, wherever the limit is now.
    if (number < 0) number = fcntl(connection, F_DUPFD_CLOEXEC, FirstNumber());
  }
  close(connection);
  if (number < 0) return -1;
  next_number_ = number + 1;
  connections_.insert_or_assign(number, std::move(entry));
  return number;
}

std::optional<Caller::UnixPeer> UnixPeers::Find(std::string_view peer) const {
  if (peer.substr(0, kPrefix.size()) != kPrefix) return std::nullopt;
  peer.remove_prefix(kPrefix.size());
  int number = -1;
  if (!absl::SimpleAtoi(absl::string_view(peer.data(), peer.size()), &number)) {
    return std::nullopt;
  }
  const std::lock_guard lock(mutex_);
  const auto found = connections_.find(number);
  if (found == connections_.end()) return std::nullopt;
  return found->second.peer;
}

}  // namespace mlad
