#include "bench/serve_run.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "bench/stopwatch.h"

namespace mlad {
namespace {

v1::GenerateRequest MakeRequest(const ServeTarget& target,
                                const RequestLengths& lengths, int64_t index) {
  v1::GenerateRequest request;
  const std::vector<int32_t> prompt =
      RandomPrompt(lengths.prompt_tokens, target.shared_prefix_tokens,
                   target.seed, index, target.vocab_size);
  request.mutable_tokens()->mutable_ids()->Add(prompt.begin(), prompt.end());
  v1::GenerationOptions& options = *request.mutable_options();
  options.set_max_tokens(lengths.output_tokens);
  options.set_ignore_eos(true);
  return request;
}

void RunRequest(const ServeTarget& target, const v1::GenerateRequest& request,
                SteadyClock::time_point begin, RequestOutcome& outcome) {
  outcome.sent_s = SecondsSince(begin);
  outcome.status = target.client->Generate(
      request,
      [&](const v1::GenerateResponse& message) {
        if (message.has_token()) {
          outcome.tokens_s.push_back(SecondsSince(begin));
        } else if (message.has_finish()) {
          outcome.cached_tokens = message.finish().usage().cached_tokens();
        }
        return true;
      },
      {.timeout = target.timeout});
  outcome.finished_s = SecondsSince(begin);
}

}  // namespace

LoadRun RunLoad(const ServeTarget& target,
                const std::vector<PlannedRequest>& plan) {
  LoadRun run;
  run.outcomes.resize(plan.size());
  // Made beforehand: a long prompt takes longer than a short gap.
  std::vector<v1::GenerateRequest> requests;
  for (size_t i = 0; i < plan.size(); ++i) {
    run.outcomes[i].planned = plan[i].lengths;
    run.outcomes[i].tokens_s.reserve(plan[i].lengths.output_tokens);
    requests.push_back(
        MakeRequest(target, plan[i].lengths, static_cast<int64_t>(i)));
  }
  std::atomic<int64_t> done = 0;
  std::vector<std::thread> threads;
  threads.reserve(plan.size());
  run.start = absl::Now();
  const SteadyClock::time_point begin = SteadyClock::now();
  for (size_t i = 0; i < plan.size(); ++i) {
    std::this_thread::sleep_until(
        begin + std::chrono::duration_cast<SteadyClock::duration>(
                    std::chrono::duration<double>(plan[i].at_s)));
    threads.emplace_back([&, i] {
      RunRequest(target, requests[i], begin, run.outcomes[i]);
      if (target.progress) target.progress(++done);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return run;
}

}  // namespace mlad
