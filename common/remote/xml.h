// Small XML documents as trees: Hadoop's configuration files, and lists that Azure's storage sends.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace samovar {

struct XmlElement {
  std::string name;
  // All characters that stand directly in it; where elements do, too, without the space around them.
  std::string text;
  std::vector<XmlElement> children;

  // The first child of this name; null: there is none.
  const XmlElement* Child(absl::string_view name) const;
  // Its text without the space around it; empty if there is none.
  std::string ChildText(absl::string_view name) const;
};

// Elements may stand in each other this deep.
inline constexpr size_t kMaxXmlDepth = 64;

// The root. Attributes and comments are left out. INVALID_ARGUMENT: no XML, with the line, or too deep; entities of a
// document's own are refused.
absl::StatusOr<XmlElement> ParseXml(absl::string_view text);

}  // namespace samovar
