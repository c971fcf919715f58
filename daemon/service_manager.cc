#include "daemon/service_manager.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace mlad {
namespace {

/// The pings per timeout; systemd asks for two at least.
constexpr int kPings = 4;

void Say(const std::string& message) { sd_notify(0, message.c_str()); }

std::string Text(std::string_view text) { return std::string(text); }

}  // namespace

ServiceManager ServiceManager::FromEnvironment() {
  ServiceManager manager;
  const char* const socket = std::getenv("NOTIFY_SOCKET");
  manager.is_listening_ = socket != nullptr && socket[0] != '\0';
  uint64_t watchdog_us = 0;
  if (sd_watchdog_enabled(/*unset_environment=*/1, &watchdog_us) > 0) {
    manager.watchdog_ = absl::Microseconds(watchdog_us);
  }
  char** names = nullptr;
  const int count = sd_listen_fds_with_names(/*unset_environment=*/1, &names);
  for (int i = 0; i < count; ++i) {
    PassedDescriptor passed{SD_LISTEN_FDS_START + i, names[i]};
    const bool is_socket =
        sd_is_socket(passed.descriptor, AF_UNSPEC, SOCK_STREAM,
                     /*listening=*/1) > 0;
    (is_socket ? manager.sockets_ : manager.stored_).push_back(passed);
    std::free(names[i]);
  }
  std::free(names);
  return manager;
}

void ServiceManager::SayLoading(double fraction) const {
  Say(absl::StrCat(
      "EXTEND_TIMEOUT_USEC=", absl::ToInt64Microseconds(kLoadingPatience),
      "\nSTATUS=Loading, ", static_cast<int>(fraction * 100), "%"));
}

void ServiceManager::SayServing(std::string_view status) const {
  Say("READY=1\nSTATUS=" + Text(status));
}

void ServiceManager::SayReloading() const {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  Say(absl::StrCat("RELOADING=1\nMONOTONIC_USEC=",
                   absl::ToInt64Microseconds(absl::DurationFromTimespec(now)),
                   "\nSTATUS=Reading the configuration again"));
}

void ServiceManager::SayStopping(std::string_view status,
                                 absl::Duration needs) const {
  Say(absl::StrCat("STOPPING=1\nSTATUS=", Text(status),
                   "\nEXTEND_TIMEOUT_USEC=", absl::ToInt64Microseconds(needs)));
}

absl::Status ServiceManager::Store(int descriptor,
                                   const std::string& name) const {
  const std::string message = absl::StrCat("FDSTORE=1\nFDNAME=", name);
  const int sent =
      sd_pid_notify_with_fds(0, 0, message.c_str(), &descriptor, 1);
  if (sent > 0) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("the service manager does not take ", name, ": ",
                   sent == 0 ? "none is there" : std::strerror(-sent)));
}

void ServiceManager::Forget(const std::string& name) const {
  Say(absl::StrCat("FDSTOREREMOVE=1\nFDNAME=", name));
}

std::optional<absl::Duration> ServiceManager::keep_alive_interval() const {
  if (!watchdog_.has_value()) return std::nullopt;
  return *watchdog_ / kPings;
}

bool ServiceManager::IsStuck(absl::Duration busy) const {
  return watchdog_.has_value() && busy >= *watchdog_;
}

void ServiceManager::KeepAlive(absl::Duration busy) const {
  if (!watchdog_.has_value()) return;
  Say(IsStuck(busy) ? "WATCHDOG=trigger" : "WATCHDOG=1");
}

}  // namespace mlad
