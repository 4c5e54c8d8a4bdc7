// ByteFiller takes the body of an answer that must have a certain length.
#pragma once

#include <cstring>
#include <span>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace samovar {

class ByteFiller {
 public:
  explicit ByteFiller(std::span<char> out) : out_(out) {}

  // UNAVAILABLE: more bytes come than there is room for; a server that is in order sends others the next time.
  absl::Status Add(absl::string_view bytes) {
    if (bytes.size() > out_.size() - filled_) return absl::UnavailableError("more bytes came than were asked for");
    std::memcpy(out_.data() + filled_, bytes.data(), bytes.size());
    filled_ += bytes.size();
    return absl::OkStatus();
  }
  bool full() const { return filled_ == out_.size(); }

 private:
  const std::span<char> out_;
  size_t filled_ = 0;
};

}  // namespace samovar
