// Screen has the whole terminal, until it is destroyed: then the terminal is as it was before, also if a fault or an
// abort ends the process. The only door to ncurses.
//
// Meanwhile nothing else may write to standard output; what is written to standard error is held back, and written when
// the terminal is as it was.
// Thread safety: none; one thread. One in a process at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/terminal/styled.h"

namespace samovar {

class Screen {
 public:
  // FAILED_PRECONDITION: standard input or output is no terminal, or one that cannot place a cursor (TERM is dumb, or
  // not known here); nothing was changed.
  static absl::StatusOr<std::unique_ptr<Screen>> Open();
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // The terminal's size at this moment.
  int rows() const { return rows_; }
  int columns() const { return columns_; }
  // Whether it shows UTF-8, by the locale.
  bool utf8() const { return utf8_; }
  // Has something to read when a key was pressed.
  int input_fd() const;

  // The next key that was pressed, a character or a Key (view_state.h); nothing: there is none. Takes the terminal's
  // new size. Ctrl-Z suspends the process here, with the terminal as it was.
  std::optional<int> NextKey();
  // Shows the lines, which are not longer than the size. Only what has changed is sent to the terminal.
  void Draw(const std::vector<StyledLine>& lines);

 private:
  class HeldErrors;

  Screen();
  void TakeSize();
  void Suspend();

  int rows_ = 0;
  int columns_ = 0;
  bool utf8_ = false;
  bool colours_ = false;
  std::unique_ptr<HeldErrors> errors_;
  // SCREEN* of ncurses.
  void* terminal_ = nullptr;
};

}  // namespace samovar
