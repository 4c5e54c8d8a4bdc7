#include "common/parameters/sparse_floats.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace samovar {
namespace {

absl::Status Wrong(const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("the sparse payload ", what));
}

// Takes a varint of at most five bytes off the front. False: there is none.
bool TakeVarint(std::span<const char>* bytes, uint64_t* value) {
  *value = 0;
  for (size_t i = 0; i < std::min<size_t>(5, bytes->size()); ++i) {
    const uint8_t byte = static_cast<uint8_t>((*bytes)[i]);
    *value |= static_cast<uint64_t>(byte & 0x7F) << (7 * i);
    if (byte >= 0x80) continue;
    *bytes = bytes->subspan(i + 1);
    return true;
  }
  return false;
}

}  // namespace

void EncodeSparse(std::span<const float> values, std::span<const uint32_t> places, std::vector<char>* payload) {
  const uint32_t count = static_cast<uint32_t>(places.size());
  payload->resize(sizeof(count));
  std::memcpy(payload->data(), &count, sizeof(count));
  uint32_t next = 0;
  for (const uint32_t place : places) {
    uint32_t gap = place - next;
    for (; gap >= 0x80; gap >>= 7) payload->push_back(static_cast<char>(gap | 0x80));
    payload->push_back(static_cast<char>(gap));
    next = place + 1;
  }
  size_t end = payload->size();
  payload->resize(end + places.size() * sizeof(float));
  for (const uint32_t place : places) {
    std::memcpy(payload->data() + end, &values[place], sizeof(float));
    end += sizeof(float);
  }
}

absl::Status DecodeSparse(std::span<const char> payload, std::span<float> values) {
  uint32_t count = 0;
  if (payload.size() < sizeof(count))
    return Wrong(absl::StrCat("has ", payload.size(), " bytes, no room for a number of floats"));
  std::memcpy(&count, payload.data(), sizeof(count));
  if (count > values.size()) return Wrong(absl::StrCat("lists ", count, " floats of ", values.size()));
  std::span<const char> places = payload.subspan(sizeof(count));
  const size_t value_bytes = count * sizeof(float);
  // A place takes a byte at least.
  if (places.size() < value_bytes + count) {
    return Wrong(absl::StrCat("has ", payload.size(), " bytes, too few for the ", count, " floats that it lists"));
  }
  const char* value = places.data() + places.size() - value_bytes;
  places = places.first(places.size() - value_bytes);
  std::fill(values.begin(), values.end(), 0.0f);
  uint64_t next = 0;
  for (uint32_t i = 0; i < count; ++i) {
    uint64_t gap = 0;
    if (!TakeVarint(&places, &gap)) return Wrong(absl::StrCat("breaks off in the place of its float ", i));
    if (gap >= values.size() - next)
      return Wrong(absl::StrCat("has its float ", i, " beyond the last of ", values.size()));
    std::memcpy(&values[next + gap], value, sizeof(float));
    value += sizeof(float);
    next += gap + 1;
  }
  if (!places.empty())
    return Wrong(absl::StrCat("has ", places.size(), " bytes more than its ", count, " floats take"));
  return absl::OkStatus();
}

}  // namespace samovar
