// Blobs that are joined or cut along one axis, seen as rows: a row has the values behind one place before.
#pragma once

#include <algorithm>
#include <cstdint>

namespace samovar {

// A matrix in plain memory whose rows are `stride` floats apart.
struct Rows {
  float* data;
  int64_t stride;
};

// Copies the first `width` floats of the rows [begin, end).
inline void CopyRows(Rows from, Rows to, int64_t begin, int64_t end, int64_t width) {
  for (int64_t row = begin; row < end; ++row)
    std::copy_n(from.data + row * from.stride, width, to.data + row * to.stride);
}

// Rows that one piece of a loop handles: some ten thousand values.
inline int64_t RowsPerPiece(int64_t width) { return std::max<int64_t>(1, (32 << 10) / width); }

}  // namespace samovar
