#include "tests/model/test_file.h"

#include <filesystem>
#include <fstream>
#include <system_error>

#include <unistd.h>

#include "base/check.h"

namespace mlad {

namespace {

/// One folder a process, as tests run in parallel; removed at its end.
class TestFolder {
 public:
  TestFolder()
      : process_(getpid()),
        path_(std::filesystem::temp_directory_path() /
              ("mlad-test-" + std::to_string(process_))) {}
  ~TestFolder() {
    if (getpid() != process_) return;  // a fork: the folder is its parent's
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  pid_t process_;
  std::filesystem::path path_;
};

}  // namespace

std::string WriteTestFile(const std::string& name,
                          const std::vector<std::byte>& bytes) {
  static const TestFolder folder;
  std::filesystem::create_directories(folder.path());
  const std::filesystem::path path = folder.path() / name;
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
  out.close();
  MLAD_CHECK(out.good());
  return path.string();
}

}  // namespace mlad
