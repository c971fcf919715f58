#include <iostream>

#include <openssl/rand.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"

#include "daemon/commands.h"
#include "rpc/access_control.h"

namespace mlad {
namespace {

constexpr int kSecretBytes = 32;

std::string ToHex(const void* data, size_t size) {
  return absl::BytesToHexString(
      absl::string_view(static_cast<const char*>(data), size));
}

}  // namespace

int RunMakeToken(const MakeTokenOptions& options) {
  uint8_t secret[kSecretBytes];
  if (RAND_bytes(secret, kSecretBytes) != 1) {
    return ReportFailure(
        absl::UnavailableError("the system gives no random bytes"));
  }
  const std::string token = "mlad_" + ToHex(secret, kSecretBytes);
  const Sha256 hash = HashToken(token);
  std::string roles;
  for (const std::string& role : options.roles) {
    roles += (roles.empty() ? "\"" : ", \"") + role + "\"";
  }
  // The entry alone on stdout, to append to the access file; the secret goes
  // past it.
  std::cout << absl::StreamFormat(
      "[[client]]\nname = \"%s\"\ntoken_sha256 = \"%s\"\nroles = [%s]\n",
      options.name, ToHex(hash.data(), hash.size()), roles);
  std::cerr << token << "\n";
  return 0;
}

}  // namespace mlad
