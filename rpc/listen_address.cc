#include "rpc/listen_address.h"

#include <sys/un.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace mlad {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
// sun_path holds the path and its terminating zero.
constexpr size_t kMaxUnixPath = sizeof(sockaddr_un{}.sun_path) - 1;

absl::Status Malformed(std::string_view text, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(
      "address '", absl::string_view(text.data(), text.size()), "' ", what,
      "; write HOST, HOST:PORT, :PORT, [IPV6]:PORT or "
      "unix:/PATH"));
}

absl::StatusOr<ListenAddress> ParseUnix(std::string_view text) {
  ListenAddress address;
  address.unix_path = text.substr(kUnixPrefix.size());
  // unix:///PATH is the same in gRPC's and in other programs' spelling.
  if (address.unix_path.rfind("///", 0) == 0) address.unix_path.erase(0, 2);
  if (address.unix_path.empty() || address.unix_path[0] != '/') {
    return Malformed(text, "has no absolute path");
  }
  if (address.unix_path.size() > kMaxUnixPath) {
    return Malformed(
        text, absl::StrCat("has a path longer than ", kMaxUnixPath, " bytes"));
  }
  return address;
}

}  // namespace

std::string ListenAddress::ToString() const {
  if (is_unix()) return absl::StrCat("unix:", unix_path);
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return absl::StrCat(is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "", ":", port);
}

absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text) {
  if (text.rfind(kUnixPrefix, 0) == 0) return ParseUnix(text);
  if (text.empty()) return Malformed(text, "is empty");
  ListenAddress address;
  std::string_view port;
  bool has_port = false;
  if (text[0] == '[') {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return Malformed(text, "lacks a ']'");
    address.host = text.substr(1, end - 1);
    if (address.host.find(':') == std::string::npos) {
      return Malformed(text, "has no IPv6 address in its brackets");
    }
    const std::string_view rest = text.substr(end + 1);
    has_port = !rest.empty();
    if (has_port && rest[0] != ':') {
      return Malformed(text, "has something other than a port after the ']'");
    }
    if (has_port) port = rest.substr(1);
  } else {
    const size_t colon = text.find(':');
    has_port = colon != std::string_view::npos;
    address.host = text.substr(0, colon);
    if (has_port) port = text.substr(colon + 1);
    if (port.find(':') != std::string_view::npos) {
      return Malformed(text, "has several colons; an IPv6 address needs []");
    }
    if (address.host.find_first_of("/ \t\n") != std::string::npos) {
      return Malformed(text, "has no valid host name");
    }
  }
  if (has_port &&
      (port.empty() || port.find_first_not_of("0123456789") != port.npos ||
       !absl::SimpleAtoi(absl::string_view(port.data(), port.size()),
                         &address.port) ||
       address.port > 65535)) {
    return Malformed(text, "has no port from 0 to 65535");
  }
  return address;
}

}  // namespace mlad
