#include "rpc/access_control.h"

#include <algorithm>

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

#include "base/retry_hint.h"
#include "base/status.h"

namespace mlad {
namespace {

// When to come again who has too many requests running.
constexpr absl::Duration kRetryOfRunning = absl::Seconds(1);

/// All entries are looked at, each in constant time: how long it takes tells
/// nothing about the tokens.
const AccessEntry* FindToken(const AccessRules& rules,
                             const std::string& token) {
  const Sha256 hash = HashToken(token);
  const AccessEntry* found = nullptr;
  for (const AccessEntry& entry : rules.entries) {
    if (!entry.token_sha256.has_value()) continue;
    const bool same = CRYPTO_memcmp(hash.data(), entry.token_sha256->data(),
                                    hash.size()) == 0;
    if (same) found = &entry;
  }
  return found;
}

template <typename Container, typename Value>
bool Contains(const Container& container, const Value& value) {
  return std::find(container.begin(), container.end(), value) !=
         container.end();
}

bool Matches(const AccessEntry& entry, const Caller& caller) {
  if (!entry.certificate_name.empty()) {
    return Contains(caller.certificate_names, entry.certificate_name);
  }
  if (!caller.unix_peer.has_value()) return false;
  if (entry.user.has_value()) return caller.unix_peer->user == *entry.user;
  return entry.group.has_value() &&
         Contains(caller.unix_peer->groups, *entry.group);
}

/// Where there are no names.
std::string NameOf(const Caller& caller) {
  if (!caller.unix_peer.has_value()) return caller.address;
  return absl::StrCat("user ", caller.unix_peer->user);
}

/// Of the superuser and our own user, over unix sockets.
const AccessEntry& OwnerEntry() {
  static const AccessEntry* const kOwner = [] {
    auto* entry = new AccessEntry;
    entry->name = "owner";
    entry->may_infer = true;
    entry->may_administer = true;
    return entry;
  }();
  return *kOwner;
}

bool IsOwner(const Caller& caller) {
  return caller.unix_peer.has_value() &&
         (caller.unix_peer->user == 0 || caller.unix_peer->user == geteuid());
}

}  // namespace

Sha256 HashToken(const std::string& token) {
  Sha256 hash{};
  SHA256(reinterpret_cast<const uint8_t*>(token.data()), token.size(),
         hash.data());
  return hash;
}

AccessPass& AccessPass::operator=(AccessPass&& other) noexcept {
  if (this == &other) return *this;
  Release();
  control_ = std::exchange(other.control_, nullptr);
  client_ = std::move(other.client_);
  limits_ = other.limits_;
  return *this;
}

void AccessPass::Release() {
  if (control_ != nullptr) std::exchange(control_, nullptr)->Leave(client_);
}

void AccessControl::SetRules(std::optional<AccessRules> rules) {
  const std::lock_guard lock(mutex_);
  rules_ = std::move(rules);
}

absl::StatusOr<const AccessEntry*> AccessControl::Identify(
    const Caller& caller) const {
  // Whoever shows a token means it: no falling back to another identity.
  if (caller.token.has_value()) {
    if (const AccessEntry* entry = FindToken(*rules_, *caller.token)) {
      return entry;
    }
    return absl::UnauthenticatedError(
        "the token is not known here; check it, or ask the administrator for "
        "a new one");
  }
  for (const AccessEntry& entry : rules_->entries) {
    if (Matches(entry, caller)) return &entry;
  }
  if (IsOwner(caller)) return &OwnerEntry();
  return absl::UnauthenticatedError(
      caller.certificate_names.empty()
          ? "the call needs a token: send the metadata 'authorization: Bearer "
            "TOKEN' (mla-ctl: --token-file or MLAD_TOKEN)"
          : "the certificate's names are not in the daemon's access file and "
            "there is no token");
}

absl::Status AccessControl::CountRequest(const AccessEntry& entry) {
  Usage& usage = usage_[entry.name];
  if (entry.max_running > 0 && usage.running >= entry.max_running) {
    return BusyError(
        absl::StrCat("client '", entry.name, "' may have ", entry.max_running,
                     " requests at once; wait until one has ended"),
        kRetryOfRunning);
  }
  const absl::Time now = clock_.Now();
  if (entry.requests_per_minute > 0) {
    const auto limit = static_cast<double>(entry.requests_per_minute);
    const double minutes =
        absl::FDivDuration(now - usage.filled_at, absl::Minutes(1));
    usage.requests_left =
        std::min(limit, usage.requests_left + std::max(minutes, 0.0) * limit);
    usage.filled_at = now;
    if (usage.requests_left < 1) {
      return BusyError(
          absl::StrCat("client '", entry.name, "' may start ",
                       entry.requests_per_minute, " requests a minute"),
          absl::Minutes(1) * ((1 - usage.requests_left) / limit));
    }
    usage.requests_left -= 1;
  }
  ++usage.running;
  return absl::OkStatus();
}

absl::StatusOr<AccessPass> AccessControl::Check(const Caller& caller,
                                                Role role) {
  const std::lock_guard lock(mutex_);
  if (!rules_.has_value()) return AccessPass(nullptr, NameOf(caller), {});
  MLAD_ASSIGN_OR_RETURN(const AccessEntry* entry, Identify(caller));
  const bool may =
      role == Role::kInfer ? entry->may_infer : entry->may_administer;
  if (!may) {
    return absl::PermissionDeniedError(absl::StrCat(
        "client '", entry->name, "' lacks the role '",
        role == Role::kInfer ? "infer" : "admin", "' that this call needs"));
  }
  if (role != Role::kInfer) return AccessPass(nullptr, entry->name, {});
  MLAD_RETURN_IF_ERROR(CountRequest(*entry));
  return AccessPass(this, entry->name, entry->limits);
}

void AccessControl::Leave(const std::string& client) {
  const std::lock_guard lock(mutex_);
  --usage_[client].running;
}

}  // namespace mlad
