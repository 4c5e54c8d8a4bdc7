#include "common/remote/md5.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "absl/strings/escaping.h"

namespace samovar {
namespace {

constexpr size_t kBufferBytes = 256 << 10;

}  // namespace

void Md5::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Md5::Md5() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_.get(), EVP_md5(), nullptr); }

void Md5::Add(absl::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }

std::string Md5::Base64() {
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_DigestFinal_ex(context_.get(), sum, &size);
  return absl::Base64Escape(absl::string_view(reinterpret_cast<const char*>(sum), size));
}

absl::StatusOr<std::string> Md5OfFile(int fd, uint64_t offset, uint64_t bytes) {
  Md5 sum;
  std::vector<char> buffer(std::min<uint64_t>(kBufferBytes, bytes));
  while (bytes > 0) {
    const size_t wanted = std::min<uint64_t>(buffer.size(), bytes);
    const ssize_t count = pread(fd, buffer.data(), wanted, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return absl::DataLossError("a file that is sent cannot be read, or became shorter");
    sum.Add({buffer.data(), static_cast<size_t>(count)});
    offset += static_cast<uint64_t>(count);
    bytes -= static_cast<uint64_t>(count);
  }
  return sum.Base64();
}

}  // namespace samovar
