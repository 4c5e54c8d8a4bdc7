#include "common/base/version.h"

namespace samovar {
namespace {

// "0.2" of "0.2.0"; empty if there are not three numbers' places.
std::string_view MinorRelease(std::string_view version) {
  const size_t last = version.rfind('.');
  if (last == std::string_view::npos || version.find('.') == last) return {};
  return version.substr(0, last);
}

}  // namespace

const char* Version() { return SAMOVAR_VERSION; }

bool FitsVersion(std::string_view other) {
  const std::string_view release = MinorRelease(other);
  return !release.empty() && release == MinorRelease(Version());
}

}  // namespace samovar
