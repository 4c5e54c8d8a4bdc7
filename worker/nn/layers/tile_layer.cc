// Tile: the bottom `tiles` times along an axis; dx = sum of the tiles' dy, in their order.
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/nn/kernels/rows.h"
#include "worker/nn/layer_factories.h"
#include "worker/nn/layers/layer_fields.h"

namespace samovar {
namespace {

class TileLayer : public Layer {
 public:
  TileLayer(const Shape& in, int axis, int64_t tiles)
      : rows_(Elements(in, 0, axis)), width_(Elements(in) / rows_), tiles_(tiles) {
    Shape top = in;
    top[static_cast<size_t>(axis)] *= tiles;
    AddTop(std::move(top));
  }

  absl::Status Forward(const Pass& pass) override {
    pass.loop.Run(rows_, RowsPerPiece(width_ * tiles_), [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t tile = 0; tile < tiles_; ++tile) {
        CopyRows({bottom(0).data, width_}, {top(0).data + tile * width_, width_ * tiles_}, begin, end, width_);
      }
    });
    return absl::OkStatus();
  }

  void Backward(const Pass& pass) override {
    pass.loop.Run(rows_, RowsPerPiece(width_ * tiles_), [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t row = begin; row < end; ++row) {
        float* __restrict sum = bottom(0).diff + row * width_;
        const float* __restrict dy = top(0).diff + row * width_ * tiles_;
        std::copy_n(dy, width_, sum);
        for (int64_t tile = 1; tile < tiles_; ++tile) {
          for (int64_t i = 0; i < width_; ++i) sum[i] += dy[tile * width_ + i];
        }
      }
    });
  }

 private:
  const int64_t rows_;
  const int64_t width_;
  const int64_t tiles_;
};

}  // namespace

LayerOr CreateTileLayer(const LayerContext& context) {
  const caffe::TileParameter& tile = context.param.tile_param();
  SAMOVAR_RETURN_IF_ERROR(CheckFields(tile, "tile_param", {"axis", "tiles"}));
  SAMOVAR_ASSIGN_OR_RETURN(const int axis, CanonicalAxis(context.bottoms[0], tile.axis()));
  if (tile.tiles() < 1) return absl::InvalidArgumentError("tile_param.tiles is missing or below 1; give 1 or more");
  SAMOVAR_RETURN_IF_ERROR(
      Annotate(CheckShape({Elements(context.bottoms[0]), tile.tiles()}), "tile_param.tiles: values and tiles of"));
  return std::make_unique<TileLayer>(context.bottoms[0], axis, tile.tiles());
}

}  // namespace samovar
