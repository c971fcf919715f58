#include "daemon/exposure.h"

#include <memory>
#include <string>
#include <vector>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "absl/strings/str_cat.h"

namespace mlad {
namespace {

bool IsLoopback(const addrinfo& info) {
  constexpr uint32_t kLoopbackNet = 127;  // 127.0.0.0/8
  if (info.ai_family == AF_INET) {
    const auto& name = *reinterpret_cast<const sockaddr_in*>(info.ai_addr);
    return ntohl(name.sin_addr.s_addr) >> 24 == kLoopbackNet;
  }
  if (info.ai_family != AF_INET6) return false;
  const auto& name = *reinterpret_cast<const sockaddr_in6*>(info.ai_addr);
  return IN6_IS_ADDR_LOOPBACK(&name.sin6_addr);
}

}  // namespace

bool IsLocal(const ListenAddress& address) {
  if (address.is_unix()) return true;
  if (address.host.empty()) return false;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  // A host that does not resolve lets nobody in; listening will say so.
  if (getaddrinfo(address.host.c_str(), nullptr, &hints, &found) != 0) {
    return true;
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found,
                                                                 freeaddrinfo);
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    if (!IsLoopback(*info)) return false;
  }
  return true;
}

absl::Status CheckExposure(const ServerOptions& options) {
  const bool knows_callers =
      options.access.has_value() ||
      (options.tls.has_value() && !options.tls->client_ca.empty());
  if (options.tls.has_value() && knows_callers) return absl::OkStatus();
  std::vector<ListenAddress> addresses = options.addresses;
  for (const InheritedSocket& socket : options.sockets) {
    addresses.push_back(socket.address);
  }
  for (const ListenAddress& address : addresses) {
    if (IsLocal(address)) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        address.ToString(), " can be reached from other machines, ",
        options.tls.has_value() ? "and anybody there could call; give "
                                  "tls_client_ca or access"
                                : "in the clear; give tls_certificate and "
                                  "tls_key, and access or tls_client_ca",
        ", or say --insecure"));
  }
  return absl::OkStatus();
}

}  // namespace mlad
