// TransferQueue is one worker's transfers, one after the other, as its streams carry them.
#pragma once

#include <deque>
#include <utility>

#include "cli/plan/cluster_model.h"

namespace samovar {

class TransferQueue {
 public:
  struct Item {
    double floats = 0;
    ClusterModel::Way way = ClusterModel::Way::kBoth;
    bool as_float32 = false;
    // Seconds of a server a float, besides.
    double apply = 0;
    ClusterModel::Done done = nullptr;
  };

  TransferQueue(uint32_t worker, ClusterModel* cluster) : worker_(worker), cluster_(*cluster) {}

  void Add(Item item) {
    items_.push_back(std::move(item));
    if (items_.size() == 1) Begin();
  }
  bool empty() const { return items_.empty(); }

 private:
  void Begin() {
    const Item& item = items_.front();
    cluster_.Transfer(worker_, item.floats, item.way, item.as_float32, item.apply, [this] {
      const ClusterModel::Done done = std::move(items_.front().done);
      items_.pop_front();
      if (!items_.empty()) Begin();
      done();
    });
  }

  const uint32_t worker_;
  ClusterModel& cluster_;
  std::deque<Item> items_;
};

}  // namespace samovar
