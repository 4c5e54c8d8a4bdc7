// The dashboard's files, which are part of the program: the page that a browser shows, its script and its style.
#pragma once

#include <map>
#include <string>

#include "common/pages/page_server.h"

namespace samovar {

// "/", and below it only the files that the page asks for; 404 for any other path.
std::map<std::string, PageServer::Handler> DashboardPages();

}  // namespace samovar
