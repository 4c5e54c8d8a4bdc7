#include "worker/nn/engine.h"

namespace samovar {

const char* EngineLevel() { return SAMOVAR_ENGINE_LEVEL; }

}  // namespace samovar
