// The files of bundle/, which embed.cmake makes into bytes of the program.
#pragma once

#include <string_view>

namespace samovar::dashboard {

extern const std::string_view kIndexHtml;
extern const std::string_view kAppJs;
extern const std::string_view kAppCss;
extern const std::string_view kNotice;

}  // namespace samovar::dashboard
