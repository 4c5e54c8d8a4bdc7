// CommandLine is the common part of the three programs' command lines: help, usage errors, and exit codes.
//
// The only door to CLI11; included by this folder's sources alone. Thread safety: none.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/storage/storage_table.h"

namespace samovar {

// Largest number of processes or threads of a kind that can be asked for.
inline constexpr int kMaxCount = 256;
// The help of --channels, for each command that has it.
inline constexpr char kChannelsHelp[] =
    "Opens so many connections to each server, for networks and models whose traffic one does not carry; 0 chooses by "
    "the model's size";

class CommandLine {
 public:
  // Mistakes are told to `errors`, which outlives this.
  CommandLine(const std::string& program, const std::string& description, std::ostream* errors = &std::cerr);

  CLI::App* app() { return &app_; }

  // A subcommand of `parent`; `examples` stand at the end of its help, a line each.
  CLI::App* AddCommand(CLI::App* parent, const std::string& name, const std::string& description,
                       const std::string& examples);

  // The command cannot do without the option. Not CLI11's own required(): that one complains of a missing --solver
  // where the user wrote --slover.
  void Require(CLI::App* command, CLI::Option* option);

  // The option is the coordinator's address. Where the command line lacks it, it is the user's (user_config.h), and
  // `source` says where that comes from. Nobody's: an error, if the command cannot do without it.
  void TakeUserCoordinator(CLI::App* command, CLI::Option* option, std::string* source, bool is_required);

  // The command gives its names and paths to other processes: arguments that are not UTF-8 are refused.
  void RequireUtf8(CLI::App* command);

  // Adds --config FILE: options that the command line does not have are read from there; see config_file.h.
  void AcceptConfigFile();

  // Parses; prints help, version or an error if that is due, and returns main's exit code then; empty: run the command.
  std::optional<int> Parse(int argc, const char* const* argv);

  // Prints the error of the command line; returns 2.
  int UsageError(const std::string& message) const;
  // The same, where no coordinator is named. `name`: the flag's or the word's.
  int CoordinatorMissing(const std::string& name) const;

  // The subcommand that was given, or the program.
  const CLI::App* command() const;

 private:
  std::optional<int> CheckComplete();
  // Fills the coordinator of the command. Main's exit code if that is wrong or missing.
  std::optional<int> FillCoordinator();
  std::string DescribeExtra(const CLI::App& app, const std::string& argument) const;

  CLI::App app_;
  std::ostream& errors_;
  std::vector<std::pair<CLI::App*, CLI::Option*>> required_;
  struct UserCoordinator {
    const CLI::App* command;
    CLI::Option* option;
    std::string* source;
    bool is_required;
  };
  std::vector<UserCoordinator> coordinators_;
  std::vector<const CLI::App*> utf8_;
  // Empty: none.
  std::string config_file_;
};

// Options that servers and workers have in common.
void AddProcessOptions(CLI::App* app, int* ready_fd, std::string* log_level, std::string* log_format,
                       bool* die_with_parent);
void AddLogLevel(CLI::App* app, std::string* log_level);

// The value is "HOST:PORT". With `any_port`, port 0 is allowed.
CLI::Validator AddressValidator(bool any_port);
// The value is "HOST:PORT", port 0 included, or "none".
CLI::Validator HttpValidator();
// HOST:PORT, or the home of a cluster: a URI of one of the storages, or a path, which becomes an absolute one.
CLI::Validator CoordinatorValidator(const StorageTable& storage);
// The home of a cluster alone.
CLI::Validator HomeValidator(const StorageTable& storage);
// The value is a whole number in [least, most].
CLI::Validator Between(uint64_t least, uint64_t most);
// The value is a number above 0 and at most 1.
CLI::Validator Ratio();
// The value can be the name of a new job (common/model/job_name.h), or is empty: the command chooses one.
CLI::Validator JobNameValidator();
// The value can be the name of a job that there is: of any version.
CLI::Validator KnownJobNameValidator();
// A number, 0 to `most`, fractions allowed.
CLI::Validator NumberUpTo(double most);
// To be given to transform(): the value is a path of this machine; "file:" is taken off, another scheme is refused
// (LocalPath).
CLI::Validator LocalPathValidator();
// The same for files of any storage: the value is a path, or a URI of a scheme that the table has; or several of them
// with commas between.
CLI::Validator StoredPathValidator(const StorageTable& storage);
CLI::Validator StoredPathsValidator(const StorageTable& storage);
// The value is one of these.
CLI::Validator OneOf(const std::vector<std::string>& choices);
// The choices of an option with OneOf; empty: it has others.
std::vector<std::string> ChoicesOf(CLI::Option* option);

}  // namespace samovar
