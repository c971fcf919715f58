#include "ctl/sample_streams.h"

#include <cstdint>
#include <future>
#include <iostream>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "ctl/stream_printer.h"

namespace mlad {
namespace {

struct Sample {
  std::vector<v1::GenerateResponse> messages;
  absl::Status status;
};

/// `on_token` is called at least once, however the call ends.
template <typename Function>
Sample Collect(Client& client, const v1::GenerateRequest& request,
               const CallOptions& call, const Function& on_token) {
  Sample sample;
  sample.status = client.Generate(
      request,
      [&](const v1::GenerateResponse& message) {
        if (message.has_token()) on_token();
        if (!message.has_prompt_progress()) sample.messages.push_back(message);
        return true;
      },
      call);
  on_token();
  return sample;
}

v1::GenerateRequest WithSeed(v1::GenerateRequest request, uint64_t index) {
  v1::Sampling& sampling = *request.mutable_options()->mutable_sampling();
  // 0 lets the daemon choose, each time anew.
  if (sampling.seed() != 0) sampling.set_seed(sampling.seed() + index);
  return request;
}

void Print(const Sample& sample, size_t index, bool json) {
  const bool complete =
      !sample.messages.empty() && sample.messages.back().has_finish();
  if (!json) {
    std::cout << absl::StreamFormat("--- sample %d", index + 1);
    if (complete) {
      std::cout << ", seed " << sample.messages.back().finish().seed();
    }
    std::cout << "\n";
  }
  StreamPrinter printer(json);
  for (const v1::GenerateResponse& message : sample.messages) {
    printer.Show(message);
  }
  printer.Finish();
}

}  // namespace

absl::Status GenerateSamples(Client& client, const v1::GenerateRequest& request,
                             int samples, bool json, const CallOptions& call) {
  const uint64_t seed = request.options().sampling().seed();
  const auto count = static_cast<size_t>(samples);
  if (seed > std::numeric_limits<uint64_t>::max() - (count - 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "seeds cannot count up from ", seed, "; give a smaller --seed"));
  }
  std::vector<Sample> all(count);
  std::promise<void> prompt_read;
  std::once_flag told;
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    all[0] = Collect(client, request, call, [&] {
      std::call_once(told, [&] { prompt_read.set_value(); });
    });
  });
  prompt_read.get_future().wait();
  for (size_t i = 1; i < count; ++i) {
    threads.emplace_back([&, i] {
      all[i] = Collect(client, WithSeed(request, i), call, [] {});
    });
  }
  for (std::thread& thread : threads) thread.join();
  absl::Status status;
  for (size_t i = 0; i < count; ++i) {
    status.Update(all[i].status);
    if (!all[i].messages.empty()) Print(all[i], i, json);
  }
  return status;
}

}  // namespace mlad
