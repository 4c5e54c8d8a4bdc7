// The files of bundle/, which embed.cmake makes into bytes of the program.
#pragma once

#include "absl/strings/string_view.h"

namespace samovar::dashboard {

extern const absl::string_view kIndexHtml;
extern const absl::string_view kAppJs;
extern const absl::string_view kAppCss;
extern const absl::string_view kNotice;

}  // namespace samovar::dashboard
