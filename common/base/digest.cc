#include "common/base/digest.h"

#include <openssl/evp.h>

#include <array>
#include <cstdint>

#include "absl/strings/escaping.h"

namespace samovar {

void Digest::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Digest::Digest() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }

void Digest::Add(absl::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }

void Digest::AddField(absl::string_view bytes) {
  std::array<char, sizeof(uint64_t)> length;
  for (size_t i = 0; i < length.size(); ++i) length[i] = static_cast<char>(uint64_t{bytes.size()} >> (8 * i));
  Add({length.data(), length.size()});
  Add(bytes);
}

std::string Digest::Hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> value;
  unsigned int size = 0;
  EVP_DigestFinal_ex(context_.get(), value.data(), &size);
  return absl::BytesToHexString({reinterpret_cast<const char*>(value.data()), size});
}

}  // namespace samovar
