#include "ctl/top_screen.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "ctl/json_output.h"
#include "ctl/table.h"

namespace mlad {
namespace {

constexpr size_t kMaxHistory = 1000;
constexpr int kMinHistoryRows = 4;
constexpr int kMaxHistoryRows = 12;
constexpr int kMaxBarWidth = 20;
constexpr char kHelp[] = "q: quit";

/// "[####------]" of `width` characters in all.
std::string Bar(double share, int width) {
  const int inner = std::max(width - 2, 1);
  const double clamped = std::clamp(share, 0.0, 1.0);
  const auto full = static_cast<int>(std::lround(clamped * inner));
  return absl::StrCat("[", std::string(full, '#'),
                      std::string(inner - full, '-'), "]");
}

double Share(int64_t part, int64_t whole) {
  return whole == 0 ? 0
                    : static_cast<double>(part) / static_cast<double>(whole);
}

/// "3 d 04:05:06"
std::string Elapsed(double seconds) {
  const auto all = static_cast<int64_t>(seconds);
  const int64_t days = all / 86400;
  return absl::StrFormat("%s%02d:%02d:%02d",
                         days > 0 ? absl::StrCat(days, " d ") : "",
                         all / 3600 % 24, all / 60 % 60, all % 60);
}

std::string PerSecond(double bytes) {
  return absl::StrCat(HumanBytes(static_cast<int64_t>(bytes)), "/s");
}

/// Bytes outside ASCII come from names of models and addresses.
std::string Fit(std::string line, int width) {
  for (char& byte : line) {
    if (byte < ' ' || byte > '~') byte = '?';
  }
  if (static_cast<int>(line.size()) > width) line.resize(width);
  return line;
}

}  // namespace

void TopScreen::Add(const v1::Stats& stats, absl::Time at) {
  previous_ = std::move(latest_);
  latest_ = Sample{stats, at};
  double rate = 0;
  if (previous_.has_value() && Seconds() > 0) {
    const int64_t tokens = stats.engine().completion_tokens() -
                           previous_->stats.engine().completion_tokens();
    rate = static_cast<double>(std::max<int64_t>(tokens, 0)) / Seconds();
  }
  tokens_per_s_.push_back(rate);
  if (tokens_per_s_.size() > kMaxHistory) tokens_per_s_.pop_front();
}

double TopScreen::Seconds() const {
  if (!previous_.has_value()) return 0;
  return absl::ToDoubleSeconds(latest_->at - previous_->at);
}

double TopScreen::LocalBytesPerSecond(int index) const {
  if (Seconds() <= 0 || index >= previous_->stats.nodes_size()) return 0;
  return static_cast<double>(latest_->stats.nodes(index).local_bytes() -
                             previous_->stats.nodes(index).local_bytes()) /
         Seconds();
}

double TopScreen::RemoteBytesPerSecond(int index) const {
  if (Seconds() <= 0 || index >= previous_->stats.nodes_size()) return 0;
  return static_cast<double>(latest_->stats.nodes(index).remote_bytes() -
                             previous_->stats.nodes(index).remote_bytes()) /
         Seconds();
}

std::vector<std::string> TopScreen::Summary(int width) const {
  const v1::Stats& stats = latest_->stats;
  const v1::EngineStats& engine = stats.engine();
  std::vector<std::string> lines = {
      title_, absl::StrCat(StateName(stats.state()), " for ",
                           Elapsed(stats.uptime_s()))};
  if (stats.state() == v1::SERVING_STATE_LOADING) {
    const double share = stats.load_fraction();
    lines.push_back(absl::StrFormat("loaded    %s %.0f%%",
                                    Bar(share, std::min(width - 16, 50)),
                                    100 * share));
    return lines;
  }
  lines.push_back(
      absl::StrFormat("requests  %d running, %d queued; %d in all, %d failed, "
                      "%d cancelled",
                      engine.running(), engine.queued(), engine.requests(),
                      engine.failed(), engine.cancelled()));
  lines.push_back(
      absl::StrFormat("tokens    %.1f/s generated now; %.1f/s generated and "
                      "%.0f/s read at work",
                      tokens_per_s_.back(), engine.tokens_per_s(),
                      engine.prompt_tokens_per_s()));
  const double used = Share(stats.kv_bytes_used(), stats.kv_bytes_capacity());
  lines.push_back(absl::StrFormat("KV cache  %s %.0f%%, %s of %s",
                                  Bar(used, 22), 100 * used,
                                  HumanBytes(stats.kv_bytes_used()),
                                  HumanBytes(stats.kv_bytes_capacity())));
  return lines;
}

std::vector<std::string> TopScreen::Nodes(int width, int rows) const {
  const v1::Stats& stats = latest_->stats;
  // Beside the two bars: the other columns and what is between them.
  constexpr int kOthers = 59;
  const int bar = std::clamp((width - kOthers) / 2, 6, kMaxBarWidth);
  std::vector<std::string> lines = {absl::StrFormat(
      "%-5s %-*s %4s %-*s %4s %7s %13s %13s %5s", "node", bar, "KV", "", bar,
      "busy", "", "barrier", "local", "remote", "wrong")};
  for (int i = 0; i < stats.nodes_size(); ++i) {
    if (static_cast<int>(lines.size()) + 1 >= rows &&
        i + 1 < stats.nodes_size()) {
      lines.push_back(
          absl::StrFormat("and %d more nodes", stats.nodes_size() - i));
      break;
    }
    const v1::NodeStats& node = stats.nodes(i);
    const double used = Share(node.kv_bytes_used(), node.kv_bytes_capacity());
    lines.push_back(absl::StrFormat(
        "%3d%-2s %s %3.0f%% %s %3.0f%% %6.1f%% %13s %13s %5d", node.node(),
        node.simulated() ? "*" : "", Bar(used, bar), 100 * used,
        Bar(node.busy_share(), bar), 100 * node.busy_share(),
        100 * node.barrier_share(), PerSecond(LocalBytesPerSecond(i)),
        PerSecond(RemoteBytesPerSecond(i)), node.misplaced_pages()));
  }
  return lines;
}

std::vector<std::string> TopScreen::History(int width, int rows) const {
  const int columns = std::max(width - 1, 1);
  const int shown = std::min(columns, static_cast<int>(tokens_per_s_.size()));
  const auto begin = tokens_per_s_.end() - shown;
  const double most =
      std::max(*std::max_element(begin, tokens_per_s_.end()), 1.0);
  std::vector<std::string> lines = {
      absl::StrFormat("generated tokens/s, up to %.1f", most)};
  const int height = rows - 1;
  for (int row = height; row > 0; --row) {
    std::string line(columns - shown, ' ');
    for (auto value = begin; value != tokens_per_s_.end(); ++value) {
      // Rounded up: whatever is not zero is seen.
      line += std::ceil(*value / most * height) >= row ? '#' : ' ';
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<std::string> TopScreen::Draw(int width, int height) const {
  std::vector<std::string> lines;
  if (!latest_.has_value()) {
    lines = {title_, "waiting for the daemon"};
  } else {
    lines = Summary(width);
    const auto room = [&] { return height - static_cast<int>(lines.size()); };
    if (latest_->stats.nodes_size() > 0 && room() > 4) {
      lines.emplace_back();
      const auto nodes = Nodes(width, room() - 2);
      lines.insert(lines.end(), nodes.begin(), nodes.end());
    }
    if (room() - 2 >= kMinHistoryRows) {
      lines.emplace_back();
      const auto history =
          History(width, std::min(room() - 1, kMaxHistoryRows));
      lines.insert(lines.end(), history.begin(), history.end());
    }
  }
  lines.resize(std::min<size_t>(lines.size(), std::max(height - 1, 0)));
  if (height > 0) {
    lines.resize(height - 1);
    lines.emplace_back(kHelp);
  }
  for (std::string& line : lines) line = Fit(std::move(line), width);
  return lines;
}

}  // namespace mlad
