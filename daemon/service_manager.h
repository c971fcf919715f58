// The service manager (systemd) that started us: what it hands over and what it
// wants to hear. Everything does nothing where something else started us.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace mlad {

/// An open file that was passed to this process.
struct PassedDescriptor {
  int descriptor = -1;
  std::string name;  // FileDescriptorName= of a socket, FDNAME of a kept file
};

class ServiceManager {
 public:
  /// Takes over the descriptors passed to this process, so that programs it
  /// starts do not inherit them. Once, before any thread starts.
  static ServiceManager FromEnvironment();

  /// True when somebody listens to what we say.
  bool is_listening() const { return is_listening_; }
  /// Listening stream sockets among what was passed.
  const std::vector<PassedDescriptor>& sockets() const { return sockets_; }
  /// The rest: what an earlier process of this service stored.
  const std::vector<PassedDescriptor>& stored() const { return stored_; }

  /// 0 to 1. Also asks for kLoadingPatience more time.
  void SayLoading(double fraction) const;
  void SayServing(std::string_view status) const;
  void SayReloading() const;
  /// `needs`: until the process has ended.
  void SayStopping(std::string_view status, absl::Duration needs) const;

  /// Keeps a duplicate of the descriptor for the next process of this service.
  /// Errors: kUnavailable when the message cannot be sent. Whether there is
  /// room (FileDescriptorStoreMax=) is not reported.
  absl::Status Store(int descriptor, const std::string& name) const;
  /// Lets go of all stored descriptors of that name.
  void Forget(const std::string& name) const;

  /// How often KeepAlive wants to be called; nothing without a watchdog.
  std::optional<absl::Duration> keep_alive_interval() const;
  /// Whether `busy`, the time for which the engine has been at the same piece
  /// of work, exceeds the watchdog's patience.
  bool IsStuck(absl::Duration busy) const;
  /// Tells the watchdog that all is well, or, where IsStuck(busy), to act.
  void KeepAlive(absl::Duration busy) const;

  /// A read of the model that stands still for longer is an error.
  static constexpr absl::Duration kLoadingPatience = absl::Minutes(2);

 private:
  bool is_listening_ = false;
  std::vector<PassedDescriptor> sockets_;
  std::vector<PassedDescriptor> stored_;
  std::optional<absl::Duration> watchdog_;
};

}  // namespace mlad
