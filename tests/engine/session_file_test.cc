#include "engine/session_file.h"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/status.h"

namespace mlad {
namespace {

using testing::HasSubstr;

constexpr int64_t kPages = 3;

class SessionFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/session.XXXXXX";
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
    path_ = folder_ + "/one";
    origin_ = {0x1234567890abcdef, "q8_kv", "avx512", 2, 20};
    text_.saved_at_s = 1'700'000'000;
    for (int64_t i = 0; i < kPages * kPagePositions; ++i) {
      text_.tokens.push_back(static_cast<int32_t>(1000 + i));
    }
    text_.forms = {0xFFFFFFFFu, 0x0000FFFFu, 0};
    for (int64_t page = 0; page < kPages; ++page) {
      for (int64_t i = 0; i < origin_.page_bytes(); ++i) {
        pages_[page].push_back(static_cast<std::byte>(page * 91 + i * 7));
      }
    }
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  absl::Status Write() {
    return WriteSession(path_, origin_, text_, [this](int64_t page) {
      return absl::MakeConstSpan(pages_[page]);
    });
  }
  /// Opens the file and reads all its pages.
  absl::Status ReadAll() {
    MLAD_ASSIGN_OR_RETURN(const SessionReader reader,
                          SessionReader::Open(path_));
    std::vector<std::byte> page(reader.origin().page_bytes());
    for (int64_t i = 0; i < reader.pages(); ++i) {
      MLAD_RETURN_IF_ERROR(reader.ReadPage(i, absl::MakeSpan(page)));
      EXPECT_EQ(page, pages_[i]);
    }
    return absl::OkStatus();
  }
  std::string Bytes() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void SetBytes(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  }

  std::string folder_, path_;
  SessionOrigin origin_;
  SessionText text_;
  std::vector<std::byte> pages_[kPages];
};

TEST_F(SessionFile, HasWhatWasWritten) {
  ASSERT_TRUE(Write().ok());
  const auto reader = SessionReader::Open(path_);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(reader->origin().model, origin_.model);
  EXPECT_EQ(reader->origin().kv_type, "q8_kv");
  EXPECT_EQ(reader->origin().kernels, "avx512");
  EXPECT_EQ(reader->origin().layers, 2);
  EXPECT_EQ(reader->origin().row_bytes, 20);
  EXPECT_EQ(reader->text().tokens, text_.tokens);
  EXPECT_EQ(reader->text().forms, text_.forms);
  EXPECT_EQ(reader->text().saved_at_s, text_.saved_at_s);
  EXPECT_EQ(reader->pages(), kPages);
  EXPECT_EQ(reader->file_bytes(), static_cast<int64_t>(Bytes().size()));
  EXPECT_TRUE(ReadAll().ok());
}

TEST_F(SessionFile, IsItsOwnersAlone) {
  ASSERT_TRUE(Write().ok());
  struct stat facts {};
  ASSERT_EQ(stat(path_.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
}

TEST_F(SessionFile, ReplacesAnotherAndLeavesNothingBeside) {
  ASSERT_TRUE(Write().ok());
  text_.saved_at_s += 5;
  ASSERT_TRUE(Write().ok());
  EXPECT_EQ(SessionReader::Open(path_)->text().saved_at_s, text_.saved_at_s);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(SessionFile, CannotBeWrittenWhereThereIsNoFolder) {
  path_ = folder_ + "/none/one";
  const absl::Status status = Write();
  EXPECT_TRUE(absl::IsInternal(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
  EXPECT_TRUE(absl::IsNotFound(SessionReader::Open(path_).status()));
}

TEST_F(SessionFile, AnyLengthButItsOwnIsDamage) {
  ASSERT_TRUE(Write().ok());
  const std::string bytes = Bytes();
  for (size_t size = 0; size < bytes.size(); size += size < 100 ? 1 : 97) {
    SetBytes(bytes.substr(0, size));
    const absl::Status status = ReadAll();
    EXPECT_TRUE(absl::IsDataLoss(status)) << size << " bytes: " << status;
  }
  SetBytes(bytes + "x");
  EXPECT_TRUE(absl::IsDataLoss(ReadAll()));
}

TEST_F(SessionFile, AnyFlippedBitIsSeen) {
  ASSERT_TRUE(Write().ok());
  const std::string bytes = Bytes();
  for (size_t at = 0; at < bytes.size(); at += at < 80 ? 1 : 13) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 1 << at % 8);
    SetBytes(damaged);
    const absl::Status status = ReadAll();
    // Bytes 8 to 11 are the version.
    EXPECT_TRUE(at >= 8 && at < 12 ? absl::IsFailedPrecondition(status)
                                   : absl::IsDataLoss(status))
        << "byte " << at << ": " << status;
  }
}

// A file that somebody has made up, with the right hashes.
TEST_F(SessionFile, SizesAreNotBelieved) {
  ASSERT_TRUE(Write().ok());
  const std::string bytes = Bytes();
  constexpr size_t kLayersAt = 12;
  constexpr size_t kRowBytesAt = 40;
  constexpr size_t kPagesAt = 48;
  constexpr size_t kHashAt = 72;
  const auto with = [&](size_t at, const auto& value) {
    std::string other = bytes;
    std::memcpy(other.data() + at, &value, sizeof value);
    const uint64_t hash = XXH3_64bits(other.data(), kHashAt);
    std::memcpy(other.data() + kHashAt, &hash, sizeof hash);
    SetBytes(other);
    return ReadAll();
  };
  ASSERT_TRUE(with(kPagesAt, kPages).ok());
  for (const int64_t wrong :
       {int64_t{-1}, int64_t{0}, int64_t{1}, int64_t{4}, int64_t{1} << 30,
        std::numeric_limits<int64_t>::max(),
        std::numeric_limits<int64_t>::min()}) {
    EXPECT_TRUE(absl::IsDataLoss(with(kPagesAt, wrong))) << wrong;
    EXPECT_TRUE(absl::IsDataLoss(with(kRowBytesAt, wrong))) << wrong;
  }
  for (const uint32_t wrong : {0u, 1u, 3u, 0xFFFFFFFFu}) {
    EXPECT_TRUE(absl::IsDataLoss(with(kLayersAt, wrong))) << wrong;
  }
}

TEST_F(SessionFile, PagesThatChangedPlacesAreSeen) {
  ASSERT_TRUE(Write().ok());
  std::string bytes = Bytes();
  const auto page = static_cast<size_t>(origin_.page_bytes() + 8);
  const size_t first = bytes.size() - kPages * page;
  const std::string swapped =
      bytes.substr(0, first) + bytes.substr(first + page, page) +
      bytes.substr(first, page) + bytes.substr(first + 2 * page);
  SetBytes(swapped);
  EXPECT_TRUE(absl::IsDataLoss(ReadAll()));
}

}  // namespace
}  // namespace mlad
