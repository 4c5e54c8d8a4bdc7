// The one door to Eigen: row-major views of plain memory.
//
// Eigen never starts threads here: the pieces of a loop are the parallelism.
#pragma once

#ifndef EIGEN_DONT_PARALLELIZE
#define EIGEN_DONT_PARALLELIZE
#endif

#include <Eigen/Core>
#include <cstdint>

namespace samovar {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using MatrixMap = Eigen::Map<Matrix>;
using ConstMatrixMap = Eigen::Map<const Matrix>;
// Rows `stride` floats apart.
using StridedMap = Eigen::Map<Matrix, 0, Eigen::OuterStride<>>;
using ConstStridedMap = Eigen::Map<const Matrix, 0, Eigen::OuterStride<>>;
using VectorMap = Eigen::Map<Eigen::VectorXf>;
using ConstVectorMap = Eigen::Map<const Eigen::VectorXf>;

// Fixes values that Eigen would otherwise ask the machine for: cache sizes decide where sums are cut, so with them
// fixed every machine computes the same bits. Idempotent; thread safe.
void ConfigureEigen();

// x[i] = f(x[i]) by polynomials (packet_math.h) for every i, since the C library's functions differ between versions. f
// of NaN or an infinity is NaN, so that divergence shows in the loss.
void ExpInPlace(float* x, int64_t n);
// The natural logarithm: minus infinity of 0, NaN of values below.
void LogInPlace(float* x, int64_t n);
// log(1 + x), exact for small x too.
void Log1pInPlace(float* x, int64_t n);
// 1 / (1 + exp(-x))
void SigmoidInPlace(float* x, int64_t n);
void TanhInPlace(float* x, int64_t n);
// x^exponent; NaN for x < 0 unless the exponent is a whole number.
void PowInPlace(float* x, float exponent, int64_t n);

}  // namespace samovar
