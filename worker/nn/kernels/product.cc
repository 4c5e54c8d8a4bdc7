#include "worker/nn/kernels/product.h"

#include "worker/nn/kernels/eigen.h"

namespace samovar {
namespace {

constexpr int64_t kLine = 16;

int64_t Lines(int64_t floats) { return (floats + kLine - 1) / kLine * kLine; }

// The interface that Eigen's products need: sizes of blocks, and places of packed ones. Eigen's matrices are
// column-major, so a row-major C = A B is computed as C^T = B^T A^T.
class Blocking : public Eigen::internal::level3_blocking<float, float> {
 public:
  Blocking(const ProductSize& size, float* packed) {
    m_mc = size.cols;
    m_nc = size.rows;
    m_kc = size.depth;
    Eigen::internal::computeProductBlockingSizes<float, float, 1>(m_kc, m_mc, m_nc, /*num_threads=*/Eigen::Index{1});
    m_blockA = packed;
    m_blockB = packed + Lines(m_mc * m_kc);
  }
  int64_t packed_floats() const { return Lines(m_mc * m_kc) + Lines(m_nc * m_kc); }
};

template <int kLhsOrder, int kRhsOrder>
void Multiply(const ProductSize& size, const Factor& lhs, const Factor& rhs, float* c, int64_t stride,
              Blocking blocking) {
  Eigen::internal::general_matrix_matrix_product<Eigen::Index, float, kLhsOrder, false, float, kRhsOrder, false,
                                                 Eigen::ColMajor, 1>::run(size.cols, size.rows, size.depth, lhs.data,
                                                                          lhs.stride, rhs.data, rhs.stride, c,
                                                                          /*resIncr=*/1, stride, /*alpha=*/1.0f,
                                                                          blocking, /*info=*/nullptr);
}

ConstStridedMap View(const Factor& factor, int64_t rows, int64_t cols) {
  return {factor.data, factor.transposed ? cols : rows, factor.transposed ? rows : cols,
          Eigen::OuterStride<>(factor.stride)};
}

// A matrix and a vector: nothing is to be packed, as each weight is needed once.
void MultiplyVector(const ProductSize& size, const Factor& a, const Factor& b, float* c, int64_t stride) {
  StridedMap out(c, size.rows, size.cols, Eigen::OuterStride<>(stride));
  const ConstStridedMap x = View(a, size.rows, size.depth);
  const ConstStridedMap y = View(b, size.depth, size.cols);
  if (a.transposed && b.transposed) {
    out.noalias() += x.transpose() * y.transpose();
  } else if (a.transposed) {
    out.noalias() += x.transpose() * y;
  } else if (b.transposed) {
    out.noalias() += x * y.transpose();
  } else {
    out.noalias() += x * y;
  }
}

}  // namespace

int64_t PackedFloats(const ProductSize& size) {
  return size.rows == 0 || size.cols == 0 || size.depth == 0 ? 0 : Blocking(size, nullptr).packed_floats();
}

void AddProduct(const ProductSize& size, const Factor& a, const Factor& b, float* c, int64_t stride, float* packed) {
  if (size.rows == 1 || size.cols == 1) return MultiplyVector(size, a, b, c, stride);
  const Blocking blocking(size, packed);
  constexpr int kAsIs = Eigen::ColMajor;
  constexpr int kTurned = Eigen::RowMajor;
  if (a.transposed && b.transposed) {
    Multiply<kTurned, kTurned>(size, b, a, c, stride, blocking);
  } else if (a.transposed) {
    Multiply<kAsIs, kTurned>(size, b, a, c, stride, blocking);
  } else if (b.transposed) {
    Multiply<kTurned, kAsIs>(size, b, a, c, stride, blocking);
  } else {
    Multiply<kAsIs, kAsIs>(size, b, a, c, stride, blocking);
  }
}

}  // namespace samovar
