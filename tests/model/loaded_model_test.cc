// Loading from a file on disk: what it leaves behind, and what it does when the
// file changes meanwhile.
#include "model/loaded_model.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/model/demo_model.h"
#include "tests/model/model_runner.h"

namespace mlad {
namespace {

class Loading : public testing::Test {
 protected:
  /// A copy of the demo model that is on the disk, not only in memory.
  void SetUp() override {
    path_ = testing::TempDir() + "loading.gguf";
    std::filesystem::copy_file(
        kDemoModelPath, path_,
        std::filesystem::copy_options::overwrite_existing);
    const int file = open(path_.c_str(), O_RDONLY);
    ASSERT_EQ(fsync(file), 0);
    close(file);
    struct statfs system {};
    ASSERT_EQ(statfs(path_.c_str(), &system), 0);
    on_disk_ = system.f_type != TMPFS_MAGIC;
    TopologyOptions options;
    options.nodes = 2;
    topology_ = *Topology::Create(options);
    executor_ = *Executor::Create(*topology_);
  }
  void TearDown() override { std::filesystem::remove(path_); }

  absl::Status Load(const GgufFile& file, const LoadOptions& options) {
    return LoadedModel::Load(file, *topology_, *executor_, options).status();
  }

  static LoadOptions Options() {
    LoadOptions options;
    options.kernels = SelectedKernels();
    options.cache_tokens = 64;
    return options;
  }

  /// Share of the file that is in the page cache.
  double Cached() const {
    const auto bytes = std::filesystem::file_size(path_);
    const int file = open(path_.c_str(), O_RDONLY);
    void* data = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file, 0);
    std::vector<unsigned char> pages((bytes + 4095) / 4096);
    EXPECT_EQ(mincore(data, bytes, pages.data()), 0);
    munmap(data, bytes);
    close(file);
    int64_t cached = 0;
    for (const unsigned char page : pages) cached += page & 1;
    return static_cast<double>(cached) / static_cast<double>(pages.size());
  }

  std::string path_;
  bool on_disk_ = false;
  std::unique_ptr<Topology> topology_;
  std::unique_ptr<Executor> executor_;
};

TEST_F(Loading, LeavesThePageCacheEmptyWhenAskedTo) {
  if (!on_disk_) GTEST_SKIP() << "the test folder is in memory";
  const auto file = *GgufFile::Open(path_, {});
  LoadOptions options = Options();
  ASSERT_TRUE(Load(*file, options).ok());
  EXPECT_GT(Cached(), 0.9);
  // Not only in the end: at no time is more there than readers work on.
  options.drop_page_cache = true;
  double most = 0;
  options.progress = [&](double done) {
    if (done > 0.6) most = std::max(most, Cached());
  };
  ASSERT_TRUE(Load(*file, options).ok());
  EXPECT_LT(most, 0.6);
  EXPECT_EQ(Cached(), 0);
}

TEST_F(Loading, AFileThatShrinksIsAnError) {
  const auto file = *GgufFile::Open(path_, {});
  std::filesystem::resize_file(path_, 4 << 20);
  const absl::Status status = Load(*file, Options());
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr(path_));
}

TEST_F(Loading, ProgressIsEveryPartOnceAndCancelStopsIt) {
  const auto file = *GgufFile::Open(path_, {});
  LoadOptions options = Options();
  std::vector<double> seen;
  options.progress = [&](double done) { seen.push_back(done); };
  ASSERT_TRUE(Load(*file, options).ok());
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_DOUBLE_EQ(seen.back(), 1);
  std::atomic<bool> cancel{false};
  options.cancel = &cancel;
  options.progress = [&](double done) { cancel = done > 0.1; };
  EXPECT_EQ(Load(*file, options).code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace mlad
