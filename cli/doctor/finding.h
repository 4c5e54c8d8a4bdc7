// Finding is what one check of `samovar doctor` says: whether something is as it should be, the fact, and what to do.
#pragma once

#include <string>

namespace samovar {

struct Finding {
  enum class Level {
    kOk,       // as it should be
    kWarning,  // the service may run, and something is not as it should be
    kWrong,    // the service does not run, or will not
  };
  Level level = Level::kOk;
  // "port of the server"
  std::string what;
  std::string fact;
  // Empty: nothing has to be done.
  std::string todo;
};

Finding Ok(std::string what, std::string fact);
Finding Warning(std::string what, std::string fact, std::string todo);
Finding Wrong(std::string what, std::string fact, std::string todo);

// "wrong    port of the server: 7401 is held; end the process", without control characters.
std::string FindingLine(const Finding& finding);
// One JSON object with "level", "what", "fact" and, if there is something to do, "todo".
std::string FindingJson(const Finding& finding);

}  // namespace samovar
