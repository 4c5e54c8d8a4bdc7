#include "common/base/version.h"

namespace samovar {

const char* Version() { return SAMOVAR_VERSION; }

}  // namespace samovar
