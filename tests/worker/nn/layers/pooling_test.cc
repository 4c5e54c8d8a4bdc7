// Pooling's shapes and clipping.
#include <algorithm>
#include <cfloat>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/worker/nn/test_net.h"

namespace samovar {
namespace {

std::string PoolText(const std::string& fields) {
  return DataText(1) + R"(layer { name: "p" type: "Pooling" bottom: "data" top: "p" pooling_param { )" + fields +
         " } }";
}

std::vector<float> Pool(const std::string& fields, int height, int width, const std::vector<float>& image) {
  std::unique_ptr<Net> net = MakeNet(PoolText(fields), ImageOptions(caffe::TEST, 1, height, width));
  std::copy(image.begin(), image.end(), DataOf(net.get()).begin());
  REQUIRE_OK(net->Forward(0, 0));
  // The first output is the data layer's unread label.
  return {net->outputs().begin() + 1, net->outputs().end()};
}

size_t PooledSize(const std::string& fields, int size) {
  return Pool(fields, size, 1, std::vector<float>(static_cast<size_t>(size))).size();
}

TEST_CASE("the pooled size is rounded up, and a window that would start in the padding behind is dropped") {
  auto fields = [](int kernel, int stride, int pad) {
    return absl::StrCat("kernel_h: ", kernel, " kernel_w: 1 stride_h: ", stride, " stride_w: 1 pad_h: ", pad,
                        " pad_w: 0");
  };
  CHECK(PooledSize(fields(2, 2, 0), 24) == 12);
  CHECK(PooledSize(fields(3, 2, 0), 32) == 16);  // ceil(29 / 2) + 1
  CHECK(PooledSize(fields(3, 2, 0) + " round_mode: FLOOR", 32) == 15);
  CHECK(PooledSize(fields(2, 2, 1), 4) == 3);
  CHECK(PooledSize(fields(2, 2, 1), 3) == 2);  // ceil(3 / 2) + 1 = 3, but the third would start at 4 >= 3 + 1
  CHECK(PooledSize(fields(3, 2, 0), 2) == 1);  // larger than the image, within one stride: clipped
}

TEST_CASE("max pooling clips its windows to the image and takes the first maximum") {
  CHECK(Pool("kernel_size: 2 stride: 2", 3, 3, {1, 2, 3, 4, 5, 6, 7, 8, 9}) == std::vector<float>{5, 6, 8, 9});
  CHECK(Pool("kernel_size: 2 stride: 2 pad: 1", 3, 3, {-1, -2, -3, -4, -5, -6, -7, -8, -9}) ==
        std::vector<float>{-1, -2, -4, -5});
  CHECK(Pool("kernel_size: 2 stride: 2", 2, 4, {1, 1, 3, 4, 1, 1, 4, 0}) == std::vector<float>{1, 4});
  CHECK(Pool("global_pooling: true", 2, 2, {1, 4, 2, 3}) == std::vector<float>{4});
}

TEST_CASE("average pooling counts padding, but not what lies beyond it") {
  CHECK(Pool("pool: AVE kernel_size: 2 stride: 2 pad: 1", 3, 3, {4, 8, 8, 4, 4, 4, 4, 4, 4}) ==
        std::vector<float>{1, 4, 2, 4});
  // The last window, cut at the image's edge, has two values.
  CHECK(Pool("pool: AVE kernel_h: 1 kernel_w: 3 stride_h: 1 stride_w: 2", 1, 4, {3, 3, 3, 5}) ==
        std::vector<float>{3, 4});
}

TEST_CASE("the second top of max pooling holds the places of the maxima") {
  std::unique_ptr<Net> net =
      MakeNet(DataText(1) + R"(layer { name: "p" type: "Pooling" bottom: "data" top: "p" top: "at"
      pooling_param { kernel_size: 2 stride: 2 } })",
              ImageOptions(caffe::TEST, 1, 2, 4));
  const std::vector<float> image = {1, 1, 3, 4, 1, 1, 4, 0};
  std::copy(image.begin(), image.end(), DataOf(net.get()).begin());
  REQUIRE_OK(net->Forward(0, 0));
  // Outputs are sorted by name: "at", then "label", then "p".
  CHECK(std::vector<float>(net->outputs().begin(), net->outputs().begin() + 2) == std::vector<float>{0, 3});
  CHECK(std::vector<float>(net->outputs().end() - 2, net->outputs().end()) == std::vector<float>{1, 4});
}

struct PoolShape {
  int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
};

// What the definition says, value by value.
void PoolAsDefined(const PoolShape& s, int height, int width, int out_h, int out_w, const float* in, bool max,
                   std::vector<float>* out, std::vector<float>* at) {
  for (int y = 0; y < out_h; ++y) {
    for (int x = 0; x < out_w; ++x) {
      const int top = y * s.stride_h - s.pad_h, left = x * s.stride_w - s.pad_w;
      const int bottom = std::min(top + s.kernel_h, height + s.pad_h),
                right = std::min(left + s.kernel_w, width + s.pad_w);
      float best = -FLT_MAX, sum = 0;
      int place = -1;
      for (int row = std::max(top, 0); row < std::min(bottom, height); ++row) {
        for (int column = std::max(left, 0); column < std::min(right, width); ++column) {
          const float value = in[row * width + column];
          sum += value;
          if (value > best) place = row * width + column;
          best = std::max(best, value);
        }
      }
      out->push_back(max ? best : sum / static_cast<float>((bottom - top) * (right - left)));
      at->push_back(static_cast<float>(place));
    }
  }
}

TEST_CASE("pooling is as it is defined, to the bit, whatever window and plane") {
  constexpr int kChannels = 3;
  const std::vector<PoolShape> shapes = {{2, 2, 2, 2, 0, 0}, {3, 3, 2, 2, 0, 0}, {3, 3, 1, 1, 1, 1}, {3, 3, 2, 2, 1, 1},
                                         {2, 3, 1, 2, 1, 0}, {5, 5, 3, 3, 2, 1}, {3, 2, 3, 2, 0, 1}, {1, 5, 1, 4, 0, 4},
                                         {4, 1, 2, 1, 3, 0}, {5, 5, 5, 5, 0, 0}, {1, 1, 1, 1, 0, 0}};
  for (const auto& [height, width] : std::vector<std::pair<int, int>>{{7, 7}, {8, 13}, {14, 14}, {5, 33}, {17, 40}}) {
    // Few different values: many windows have several maxima.
    std::vector<float> image;
    for (int i = 0; i < kChannels * height * width; ++i)
      image.push_back(static_cast<float>(Philox(1, 2, static_cast<uint64_t>(i))[0] % 5) - 2.3f);
    for (const PoolShape& s : shapes) {
      for (const bool max : {true, false}) {
        const std::string fields = absl::StrCat("pool: ", max ? "MAX" : "AVE", " kernel_h: ", s.kernel_h,
                                                " kernel_w: ", s.kernel_w, " stride_h: ", s.stride_h,
                                                " stride_w: ", s.stride_w, " pad_h: ", s.pad_h, " pad_w: ", s.pad_w);
        INFO(height << "x" << width << " " << fields);
        const std::string layer = absl::StrCat("layer { name: \"p\" type: \"Pooling\" bottom: \"data\" top: \"p\" ",
                                               max ? "top: \"at\" " : "", "pooling_param { ", fields, " } }",
                                               max ? " layer { name: \"s\" type: \"Silence\" bottom: \"at\" }" : "");
        NetOptions options = ImageOptions(caffe::TEST, kChannels, height, width);
        options.keep_blobs = true;
        std::unique_ptr<Net> net = MakeNet(DataText(1) + layer, options);
        std::copy(image.begin(), image.end(), DataOf(net.get()).begin());
        REQUIRE_OK(net->Forward(0, 0));
        const absl::StatusOr<NetBlob> pooled = net->FindBlob("p");
        REQUIRE_OK(pooled);
        std::vector<float> out, at;
        for (int c = 0; c < kChannels; ++c) {
          PoolAsDefined(s, height, width, static_cast<int>(pooled->shape[2]), static_cast<int>(pooled->shape[3]),
                        image.data() + c * height * width, max, &out, &at);
        }
        CHECK(std::vector<float>(pooled->values.begin(), pooled->values.end()) == out);
        if (!max) continue;
        const absl::StatusOr<NetBlob> places = net->FindBlob("at");
        REQUIRE_OK(places);
        CHECK(std::vector<float>(places->values.begin(), places->values.end()) == at);
      }
    }
  }
}

TEST_CASE("pooling that leaves a window without input, or pads too much, is refused") {
  auto create = [](const std::string& fields) {
    return Net::Create(NetFromText(PoolText(fields)), ImageOptions(caffe::TEST, 1, 5, 5));
  };
  REQUIRE_STATUS(create("kernel_size: 1 stride: 3"), absl::StatusCode::kInvalidArgument, "without input");
  REQUIRE_STATUS(create("kernel_size: 2 pad: 2"), absl::StatusCode::kInvalidArgument, "pad 2x2 must be smaller");
  REQUIRE_STATUS(create("kernel_size: 9"), absl::StatusCode::kInvalidArgument, "pooling kernel 9 does not fit");
  REQUIRE_STATUS(create("stride: 2"), absl::StatusCode::kInvalidArgument, "kernel_size is missing");
  REQUIRE_STATUS(create("pool: AVE kernel_size: 4294967295 pad: 4294967294 stride: 4294967295"),
                 absl::StatusCode::kInvalidArgument,
                 "pooling_param has kernel or stride 4294967295; give at most 16777216");
  REQUIRE_STATUS(create("kernel_size: 16777216 pad: 16777215"), absl::StatusCode::kInvalidArgument,
                 "more than 2^31 - 1 values");
  REQUIRE_STATUS(create("kernel_size: 2 kernel_h: 2 kernel_w: 2"), absl::StatusCode::kInvalidArgument, "not both");
  REQUIRE_STATUS(create("kernel_size: 2 pool: STOCHASTIC"), absl::StatusCode::kUnimplemented, "MAX and AVE");
}

}  // namespace
}  // namespace samovar
