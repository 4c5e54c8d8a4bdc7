#include "worker/nn/net_memory.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "common/base/status_macros.h"

namespace samovar {
namespace {

constexpr int64_t kAlways = std::numeric_limits<int64_t>::max();

// A piece of memory, and the layers, by number, between which it is needed, both included.
struct Tenant {
  int64_t elements = 0;
  int64_t first = kAlways;
  int64_t last = -1;
  int64_t offset = 0;

  bool needed() const { return last >= 0; }
  bool meets(const Tenant& other) const { return first <= other.last && other.first <= last; }
  void Use(int64_t layer) {
    first = std::min(first, layer);
    last = std::max(last, layer);
  }
  void Keep() { last = kAlways; }
};

// Each at a cache line's boundary.
int64_t Padded(const Blob& blob) { return (blob.elements() + 15) / 16 * 16; }

// The layer that does the work of this one.
size_t WorkerOf(const NetGraph& graph, size_t layer) { return graph.nodes[layer].absorbed_by.value_or(layer); }

// Blobs inside of what one layer does are neither read nor written.
bool IsInside(const NetGraph& graph, size_t producer, size_t blob) {
  const LayerNode& worker = graph.nodes[WorkerOf(graph, producer)];
  if (worker.absorbs.empty()) return false;
  return std::find(worker.writes.begin(), worker.writes.end(), blob) == worker.writes.end();
}

// One entry a blob: the first that has its memory, as blob_memory says, has a tenant that is needed.
using Tenants = std::vector<Tenant>;

Tenants TenantsOfDiffs(const NetGraph& graph, const std::vector<bool>& carries_diff) {
  Tenants tenants(graph.blobs.size());
  const auto use = [&](size_t blob, size_t layer) {
    if (!carries_diff[blob]) return;
    Tenant& tenant = tenants[graph.blob_memory[blob].diff];
    tenant.elements = std::max(tenant.elements, Padded(*graph.blobs[blob]));
    tenant.Use(static_cast<int64_t>(layer));
  };
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const size_t top : graph.nodes[i].tops) {
      use(top, i);
      use(top, WorkerOf(graph, i));
    }
    for (const size_t bottom : graph.nodes[i].bottoms) {
      use(bottom, i);
      use(bottom, WorkerOf(graph, i));
    }
  }
  return tenants;
}

Tenants TenantsOfData(const NetGraph& graph, bool share) {
  Tenants tenants(graph.blobs.size());
  std::vector<bool> is_read(graph.blobs.size(), false);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const LayerNode& node = graph.nodes[i];
    for (const size_t bottom : node.bottoms) {
      is_read[bottom] = true;
      Tenant& tenant = tenants[graph.blob_memory[bottom].data];
      if (tenant.needed()) tenant.Use(static_cast<int64_t>(i));
    }
    for (const size_t top : node.tops) {
      if (IsInside(graph, i, top)) continue;
      Tenant& tenant = tenants[graph.blob_memory[top].data];
      tenant.elements = std::max(tenant.elements, Padded(*graph.blobs[top]));
      tenant.Use(static_cast<int64_t>(WorkerOf(graph, i)));
      // Filled before the pass.
      if (node.bottoms.empty()) tenant.Use(0);
      if (!share || node.bottoms.empty()) tenant.Keep();
    }
  }
  for (size_t i = 0; i < graph.blobs.size(); ++i) {
    Tenant& tenant = tenants[graph.blob_memory[i].data];
    if (!is_read[i] && tenant.needed()) tenant.Keep();
  }
  return tenants;
}

// Gives each tenant the lowest place that nobody has at the same time, the largest first. The end of all.
int64_t Place(const std::vector<Tenant*>& tenants) {
  std::vector<Tenant*> order = tenants;
  std::stable_sort(order.begin(), order.end(),
                   [](const Tenant* a, const Tenant* b) { return a->elements > b->elements; });
  std::vector<const Tenant*> placed;
  int64_t end = 0;
  for (Tenant* tenant : order) {
    // In the order of their places.
    for (const Tenant* other : placed) {
      if (tenant->meets(*other) && other->offset < tenant->offset + tenant->elements)
        tenant->offset = std::max(tenant->offset, other->offset + other->elements);
    }
    const auto behind = std::upper_bound(placed.begin(), placed.end(), tenant,
                                         [](const Tenant* a, const Tenant* b) { return a->offset < b->offset; });
    placed.insert(behind, tenant);
    end = std::max(end, tenant->offset + tenant->elements);
  }
  return end;
}

// Bytes of those that are needed while this layer runs.
uint64_t BytesAt(const Tenants& tenants, size_t layer) {
  Tenant here;
  here.Use(static_cast<int64_t>(layer));
  int64_t elements = 0;
  for (const Tenant& tenant : tenants) elements += tenant.needed() && tenant.meets(here) ? tenant.elements : 0;
  return static_cast<uint64_t>(elements) * sizeof(float);
}

}  // namespace

absl::Status AllocateBlobs(const std::vector<bool>& carries_diff, bool keep_data, NetGraph* graph) {
  const bool train = graph->phase == caffe::TRAIN;
  Tenants data = TenantsOfData(*graph, !train && !keep_data);
  Tenants diffs = train ? TenantsOfDiffs(*graph, carries_diff) : Tenants(graph->blobs.size());
  std::vector<Tenant*> of_data, of_diffs;
  for (size_t i = 0; i < graph->blobs.size(); ++i) {
    if (data[i].needed()) of_data.push_back(&data[i]);
    if (diffs[i].needed()) of_diffs.push_back(&diffs[i]);
  }
  const int64_t data_elements = Place(of_data), diff_elements = Place(of_diffs);
  SAMOVAR_RETURN_IF_ERROR(Annotate(graph->memory.Allocate(data_elements + diff_elements), "blobs of the net"));
  uint64_t all_data = 0;
  for (size_t layer = 0; layer < graph->nodes.size(); ++layer) {
    graph->needs.push_back({BytesAt(data, layer), BytesAt(diffs, layer)});
    all_data = std::max(all_data, graph->needs.back().forward);
  }
  for (BlobNeed& need : graph->needs) need.backward += train ? all_data : 0;
  float* const memory = graph->memory.data();
  for (size_t i = 0; i < graph->blobs.size(); ++i) {
    const BlobMemory& place = graph->blob_memory[i];
    Blob& blob = *graph->blobs[i];
    if (data[place.data].needed()) blob.data = memory + data[place.data].offset + place.offset;
    if (train && carries_diff[i]) blob.diff = memory + data_elements + diffs[place.diff].offset + place.offset;
    graph->overwritten.push_back(data[place.data].last != kAlways);
  }
  return absl::OkStatus();
}

}  // namespace samovar
