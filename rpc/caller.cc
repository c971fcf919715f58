#include "rpc/caller.h"

#include <string>

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace mlad {
namespace {

constexpr absl::string_view kScheme = "bearer ";

absl::StatusOr<std::optional<std::string>> ReadToken(
    const grpc::ServerContextBase& context) {
  const auto [first, last] =
      context.client_metadata().equal_range("authorization");
  if (first == last) return std::nullopt;
  const absl::string_view value(first->second.data(), first->second.size());
  if (std::next(first) != last || !absl::StartsWithIgnoreCase(value, kScheme) ||
      value.size() == kScheme.size()) {
    return absl::UnauthenticatedError(
        "the metadata 'authorization' must be given once, as 'Bearer TOKEN'");
  }
  return std::string(value.substr(kScheme.size()));
}

/// "ipv4:192.0.2.1:4711" and "ipv6:%5B2001:db8::1%5D:4711" without the port.
std::string AddressOf(absl::string_view peer) {
  const size_t scheme = peer.find(':');
  const size_t port = peer.rfind(':');
  if (scheme == absl::string_view::npos || port <= scheme) {
    return std::string(peer);
  }
  return absl::StrReplaceAll(peer.substr(scheme + 1, port - scheme - 1),
                             {{"%5B", ""}, {"%5D", ""}, {"[", ""}, {"]", ""}});
}

void AppendProperties(const grpc::AuthContext& connection, const char* name,
                      std::vector<std::string>& values) {
  for (const grpc::string_ref& value : connection.FindPropertyValues(name)) {
    values.emplace_back(value.data(), value.size());
  }
}

}  // namespace

absl::StatusOr<Caller> ReadCaller(const grpc::ServerContextBase& context,
                                  const UnixPeers& peers) {
  Caller caller;
  absl::StatusOr<std::optional<std::string>> token = ReadToken(context);
  if (!token.ok()) return token.status();
  caller.token = *std::move(token);
  const std::string peer = context.peer();
  caller.unix_peer = peers.Find(peer);
  if (!caller.unix_peer.has_value()) caller.address = AddressOf(peer);
  const auto connection = context.auth_context();
  if (connection != nullptr && connection->IsPeerAuthenticated()) {
    AppendProperties(*connection, GRPC_X509_CN_PROPERTY_NAME,
                     caller.certificate_names);
    AppendProperties(*connection, GRPC_X509_SAN_PROPERTY_NAME,
                     caller.certificate_names);
  }
  return caller;
}

}  // namespace mlad
