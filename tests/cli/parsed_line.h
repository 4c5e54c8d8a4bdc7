// Command lines as the programs parse them, and what they print.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "config/cli_flags.h"
#include "config/server_flags.h"
#include "config/worker_flags.h"
#include "tests/cli/captured_output.h"
#include "tests/support/catch.h"

namespace samovar {

// The result of a parser for a command line, and its output.
template <class T>
struct Outcome {
  Parsed<T> parsed;
  std::string out;
  std::string err;
};

template <class T>
Outcome<T> Run(Parsed<T> (*parse)(int, const char* const*), const std::string& line) {
  const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
  std::vector<const char*> argv;
  for (const std::string& word : words) argv.push_back(word.c_str());
  argv.push_back(nullptr);
  const CapturedOutput captured;
  Parsed<T> parsed = parse(static_cast<int>(words.size()), argv.data());
  return {std::move(parsed), captured.out(), captured.err()};
}

// The line is refused with exit code 2, says this on stderr, and nothing on stdout.
template <class T>
void CheckRefused(const Outcome<T>& outcome, const std::string& text) {
  INFO(outcome.err);
  CHECK(outcome.parsed.exit_code == 2);
  CHECK(outcome.out.empty());
  CHECK(absl::StrContains(outcome.err, text));
}

inline Parsed<CliFlags> ParseCli(int argc, const char* const* argv) {
  return ParseCliFlags(argc, argv, StorageTable());
}
inline Parsed<ServerFlags> ParseServer(int argc, const char* const* argv) {
  return ParseServerFlags(argc, argv, StorageTable());
}
inline Parsed<WorkerFlags> ParseWorker(int argc, const char* const* argv) {
  return ParseWorkerFlags(argc, argv, StorageTable());
}

inline Outcome<CliFlags> Cli(const std::string& line) { return Run(ParseCli, line); }

}  // namespace samovar
