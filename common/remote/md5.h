// MD5 in base64, as HTTP's Content-MD5 has it: a check of what is sent, no proof against an attacker.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct evp_md_ctx_st;

namespace samovar {

class Md5 {
 public:
  Md5();
  void Add(absl::string_view bytes);
  // Call it once, at the end.
  std::string Base64();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

// The MD5 of a part of a file, read by pread. DATA_LOSS: the file is shorter.
absl::StatusOr<std::string> Md5OfFile(int fd, uint64_t offset, uint64_t bytes);

}  // namespace samovar
