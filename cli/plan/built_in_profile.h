// The text of profiles/reference.json.
#pragma once

namespace samovar {

extern const char kBuiltInProfile[];

}  // namespace samovar
