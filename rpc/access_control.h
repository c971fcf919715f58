// Lets calls in, or says why not.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "base/clock.h"
#include "rpc/access_rules.h"

namespace mlad {

Sha256 HashToken(const std::string& token);

class AccessControl;

/// A call that was let in; counts as running until it is released.
class AccessPass {
 public:
  AccessPass() = default;
  AccessPass(AccessPass&& other) noexcept
      : control_(std::exchange(other.control_, nullptr)),
        client_(std::move(other.client_)),
        limits_(other.limits_) {}
  AccessPass& operator=(AccessPass&& other) noexcept;
  AccessPass(const AccessPass&) = delete;
  AccessPass& operator=(const AccessPass&) = delete;
  ~AccessPass() { Release(); }

  /// The name of the access entry; without rules, whence the call comes.
  const std::string& client() const { return client_; }
  const ClientLimits& limits() const { return limits_; }
  void Release();

 private:
  friend class AccessControl;
  AccessPass(AccessControl* control, std::string client, ClientLimits limits)
      : control_(control), client_(std::move(client)), limits_(limits) {}

  AccessControl* control_ = nullptr;  // null: counts nowhere
  std::string client_;
  ClientLimits limits_;
};

/// Without rules everybody may do everything. With rules, a call needs an entry
/// with the role; the superuser and the user that the daemon runs as have all
/// roles over unix sockets. Thread-safe; outlives its passes.
class AccessControl {
 public:
  /// `clock` outlives it and is thread-safe.
  explicit AccessControl(const Clock& clock) : clock_(clock) {}

  /// From the next call on. What runs goes on, and counts.
  void SetRules(std::optional<AccessRules> rules);

  /// Errors: kUnauthenticated when nothing says who it is, or the token is
  /// unknown; kPermissionDenied when the client lacks the role;
  /// kResourceExhausted over one of its limits, with a retry hint.
  absl::StatusOr<AccessPass> Check(const Caller& caller, Role role);

 private:
  friend class AccessPass;
  /// Of one client, by name: it survives new rules.
  struct Usage {
    int64_t running = 0;
    double requests_left = 0;  // a bucket that fills with time
    absl::Time filled_at = absl::InfinitePast();
  };

  absl::StatusOr<const AccessEntry*> Identify(const Caller& caller) const;
  absl::Status CountRequest(const AccessEntry& entry);
  void Leave(const std::string& client);

  const Clock& clock_;
  std::mutex mutex_;
  std::optional<AccessRules> rules_;
  std::map<std::string, Usage> usage_;
};

}  // namespace mlad
