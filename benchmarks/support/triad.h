// The yardstick: a[i] = b[i] + s * c[i] over arrays that are much larger than the caches.
#pragma once

#include <cstddef>
#include <vector>

namespace samovar {

class Triad {
 public:
  // Three arrays of `floats` / 3 each.
  explicit Triad(size_t floats);

  void Run();

  // Moved between memory and processor by one run: b and c are read, a is written, and read before, since a line of the
  // cache is fetched before part of it is changed. STREAM counts three of these four.
  double bytes() const { return 4.0 * sizeof(float) * static_cast<double>(a_.size()); }

 private:
  std::vector<float> a_;
  std::vector<float> b_;
  std::vector<float> c_;
};

}  // namespace samovar
