// A test that runs once for every table that this CPU supports, or for the one
// that MLAD_ISA names.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/kernels.h"

namespace mlad::testing {

inline std::string ForcedIsa() {
  const char* forced = std::getenv("MLAD_ISA");
  return forced == nullptr ? "" : forced;
}

class KernelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string forced = ForcedIsa();
    if (forced.empty()) {
      tables_.assign(SupportedKernels().begin(), SupportedKernels().end());
      return;
    }
    const auto table = SelectKernels(forced);
    if (!table.ok()) {
      GTEST_SKIP() << "ISA " << forced << ": " << table.status().message();
    }
    tables_ = {*table};
  }

  const std::vector<const KernelTable*>& tables() const { return tables_; }

 private:
  std::vector<const KernelTable*> tables_;
};

/// The seed of a case's random numbers; MLAD_TEST_SEED shifts them all.
inline uint64_t Seed(uint64_t n) {
  const char* shift = std::getenv("MLAD_TEST_SEED");
  return n + (shift == nullptr ? 0 : std::strtoull(shift, nullptr, 10) << 32);
}

}  // namespace mlad::testing

/// Repeats the statement for every table, naming table and seed in failures.
#define FOR_EACH_TABLE(kernels, seed)                                \
  for (const ::mlad::KernelTable* kernels : tables())                \
    if (::testing::ScopedTrace mlad_trace(                           \
            __FILE__, __LINE__,                                      \
            std::string(::mlad::IsaName(kernels->isa)) + ", seed " + \
                std::to_string(seed));                               \
        true)
