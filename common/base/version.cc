#include "common/base/version.h"

namespace samovar {

const char* Version() { return SAMOVAR_VERSION; }

const char* InstructionSet() { return SAMOVAR_ARCH_NAME; }

}  // namespace samovar
