// Finds out what is wrong with a text that protobuf's parser refused: that parser stops at the first error, behind the
// word that is wrong; this one goes on, points at the word, and suggests the one that was probably meant.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"

namespace samovar {

// Deeper nesting is an error. Caffe's own messages nest a handful deep.
inline constexpr int kMaxTextDepth = 100;

// At most `max_errors` lines "file:line:column: what is wrong", in the order of the text, for a text that should be a
// message of this type. Empty if nothing was found. Any bytes are fine.
std::vector<std::string> FindTextErrors(absl::string_view text, const google::protobuf::Descriptor& type,
                                        const std::string& file, int max_errors);

}  // namespace samovar
