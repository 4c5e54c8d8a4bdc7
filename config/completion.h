// Completion: the words that a shell offers for a command line that is being typed.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace samovar {

struct Completion {
  // All that may stand there, the word under the cursor included as far as it is typed.
  std::vector<std::string> words;
  // A file or a directory may stand there, too.
  bool files = false;
};

// `line`: from the name of a program, samovar, samovar-server or samovar-worker, which may have a path, to the cursor.
// `jobs` names the jobs at a coordinator; called at most once.
Completion Complete(absl::string_view line,
                    const std::function<std::vector<std::string>(const std::string& coordinator)>& jobs);

// "files" or "words" in the first line, then the words, a line each: what the shells' scripts read.
std::string CompletionText(const Completion& completion);

// A script for the shell ("bash" or "zsh") that completes the command lines of the three programs.
std::string CompletionScript(const std::string& shell);

}  // namespace samovar
