// What the AVX-512 files give to their table. Internal to avx512_*.cc.
#pragma once

#include "kernels/kernel_contract.h"

namespace mlad::avx512 {

/// KernelTable::matmul for the formats that multiply quantised activations.
void MatMulQuantized(const MatMulArgs& args) noexcept;

/// CodedAttention's encode_queries and pack_values.
void EncodeQueries(const float* x, int64_t vectors, int64_t columns,
                   int64_t x_stride, const QueryCodes& out) noexcept;
void PackValues(const CodedRows& rows, int64_t value_elements, int8_t* values,
                float* scales) noexcept;

extern const CodedAttention kCodedAttention;

int64_t PeakInt8(int64_t rounds) noexcept;
int64_t PeakF32(int64_t rounds) noexcept;

}  // namespace mlad::avx512
