// Digest tells one content from another: SHA-256. A name (a path, a job's id) may stand for other bytes tomorrow; so a
// job names its files together with their digests, which are compared when a file is read again.
//
// Thread safety: none.
#pragma once

#include <memory>
#include <string>

#include "absl/strings/string_view.h"

struct evp_md_ctx_st;

namespace samovar {

class Digest {
 public:
  Digest();

  // Bytes that follow those before.
  void Add(absl::string_view bytes);
  // A field: its length first, so that fields which follow each other are not taken for others with the same bytes.
  void AddField(absl::string_view bytes);

  // The digest of all that was added: 64 lower-case hexadecimal digits. Call it once, at the end.
  std::string Hex();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace samovar
