// Early-return macros for absl::Status and absl::StatusOr.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define MLAD_STATUS_CONCAT_(a, b) a##b
#define MLAD_STATUS_NAME_(line) MLAD_STATUS_CONCAT_(mlad_status_, line)

/// Returns from the enclosing function when `expr` is not OK.
#define MLAD_RETURN_IF_ERROR(expr)                              \
  do {                                                          \
    if (absl::Status mlad_status = (expr); !mlad_status.ok()) { \
      return mlad_status;                                       \
    }                                                           \
  } while (false)

/// Assigns the value of a StatusOr to `lhs`, or returns its status.
#define MLAD_ASSIGN_OR_RETURN(lhs, expr) \
  MLAD_ASSIGN_OR_RETURN_(MLAD_STATUS_NAME_(__LINE__), lhs, expr)
#define MLAD_ASSIGN_OR_RETURN_(result, lhs, expr)      \
  auto result = (expr);                                \
  if (!result.ok()) return std::move(result).status(); \
  lhs = *std::move(result)
