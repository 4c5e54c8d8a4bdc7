#include "cli/terminal/screen.h"

#define NCURSES_NOMACROS 1
#include <curses.h>
#include <langinfo.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/terminal/view_state.h"
#include "common/base/fault_report.h"

// Declared in <term.h>, whose macros have the names of everything.
extern "C" int setupterm(const char* term, int file, int* error);

namespace samovar {
namespace {

constexpr int kCtrlZ = 26;
// An escape that no other byte follows for so many milliseconds is the key.
constexpr int kEscapeDelay = 25;
// So many bytes that were written to standard error meanwhile are shown, the last.
constexpr off_t kMaxHeldBytes = 64 << 10;

// Pairs of ncurses.
enum Pair : short { kGreen = 1, kYellow, kRed, kCyan };

// For the handler of signals: the terminal before, and what leads back to it.
termios g_before;
char g_leave[128];
int g_errors = -1;

void RestoreInHandler() {
  [[maybe_unused]] ssize_t written = write(STDOUT_FILENO, g_leave, std::strlen(g_leave));
  tcsetattr(STDIN_FILENO, TCSANOW, &g_before);
  if (g_errors >= 0) dup2(g_errors, STDERR_FILENO);
}

// The control sequences that lead back: attributes off, cursor shown, the screen before.
std::string LeavingSequence() {
  std::string all;
  for (const char* const name : {"sgr0", "cnorm", "rmkx", "rmcup"}) {
    const char* const sequence = tigetstr(name);
    if (sequence != nullptr && sequence != reinterpret_cast<const char*>(-1)) all += sequence;
  }
  return all;
}

// The locale of the environment; where this machine lacks it, but it is one of UTF-8, another one of UTF-8.
bool ChooseLocale() {
  const bool known = std::setlocale(LC_CTYPE, "") != nullptr;
  for (const char* const name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* const value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    if (!known && absl::StrContains(absl::AsciiStrToLower(value), "utf")) std::setlocale(LC_CTYPE, "C.UTF-8");
    break;
  }
  return absl::string_view(nl_langinfo(CODESET)) == "UTF-8";
}

bool WantsColours() {
  const char* const none = std::getenv("NO_COLOR");
  return (none == nullptr || *none == '\0') && has_colors();
}

int AttributesOf(Style style, bool colours) {
  const auto pair = [colours](Pair number) { return colours ? static_cast<int>(COLOR_PAIR(number)) : 0; };
  switch (style) {
    case Style::kPlain:
      return 0;
    case Style::kDim:
      return static_cast<int>(A_DIM);
    case Style::kBold:
      return static_cast<int>(A_BOLD);
    case Style::kGood:
      return pair(kGreen);
    case Style::kWarning:
      return pair(kYellow);
    case Style::kBad:
      return pair(kRed) | static_cast<int>(A_BOLD);
    case Style::kTitle:
      return pair(kCyan) | (colours ? 0 : static_cast<int>(A_UNDERLINE));
    case Style::kFocus:
      return pair(kCyan) | static_cast<int>(A_REVERSE);
    case Style::kCurve:
      return pair(kGreen) | static_cast<int>(A_BOLD);
  }
  return 0;
}

}  // namespace

// HeldErrors keeps all that is written to standard error in memory, until it is destroyed.
class Screen::HeldErrors {
 public:
  HeldErrors() {
    std::cerr.flush();
    memory_ = memfd_create("errors", MFD_CLOEXEC);
    if (memory_ < 0) return;
    before_ = dup(STDERR_FILENO);
    if (before_ < 0 || dup2(memory_, STDERR_FILENO) < 0) return;
    g_errors = before_;
  }

  ~HeldErrors() {
    std::cerr.flush();
    if (before_ >= 0) {
      g_errors = -1;
      dup2(before_, STDERR_FILENO);
      Replay();
      close(before_);
    }
    if (memory_ >= 0) close(memory_);
  }

 private:
  void Replay() const {
    const off_t end = lseek(memory_, 0, SEEK_END);
    char piece[4096];
    for (off_t at = std::max<off_t>(0, end - kMaxHeldBytes); at < end;) {
      const ssize_t got = pread(memory_, piece, sizeof(piece), at);
      if (got <= 0 || write(STDERR_FILENO, piece, static_cast<size_t>(got)) < 0) return;
      at += got;
    }
  }

  int memory_ = -1;
  int before_ = -1;
};

absl::StatusOr<std::unique_ptr<Screen>> Screen::Open() {
  const char* const term = std::getenv("TERM");
  if (isatty(STDIN_FILENO) == 0 || isatty(STDOUT_FILENO) == 0)
    return absl::FailedPreconditionError("standard input or output is no terminal");
  if (term == nullptr || *term == '\0' || absl::string_view(term) == "dumb")
    return absl::FailedPreconditionError("TERM names a terminal that cannot place its cursor");
  int error = 0;
  if (setupterm(term, STDOUT_FILENO, &error) != OK)
    return absl::FailedPreconditionError(absl::StrCat("the terminal ", term, " (TERM) is not known on this machine"));
  const char* const place_cursor = tigetstr("cup");
  if (place_cursor == nullptr || place_cursor == reinterpret_cast<const char*>(-1))
    return absl::FailedPreconditionError(absl::StrCat("the terminal ", term, " (TERM) cannot place its cursor"));
  std::cout.flush();
  auto screen = std::unique_ptr<Screen>(new Screen);
  if (screen->terminal_ == nullptr) return absl::FailedPreconditionError("the terminal cannot be used");
  return screen;
}

Screen::Screen() {
  tcgetattr(STDIN_FILENO, &g_before);
  utf8_ = ChooseLocale();
  terminal_ = newterm(nullptr, stdout, stdin);
  if (terminal_ == nullptr) return;
  const std::string leave = LeavingSequence();
  std::strncpy(g_leave, leave.c_str(), sizeof(g_leave) - 1);
  errors_ = std::make_unique<HeldErrors>();
  SetFaultCleanup(&RestoreInHandler);
  set_escdelay(kEscapeDelay);
  cbreak();
  noecho();
  keypad(stdscr, true);
  nodelay(stdscr, true);
  leaveok(stdscr, true);
  curs_set(0);
  colours_ = WantsColours();
  if (colours_) {
    start_color();
    use_default_colors();
    init_pair(kGreen, COLOR_GREEN, -1);
    init_pair(kYellow, COLOR_YELLOW, -1);
    init_pair(kRed, COLOR_RED, -1);
    init_pair(kCyan, COLOR_CYAN, -1);
  }
  // Ctrl-Z comes as a key: a signal might come to any thread, in the middle of a drawing.
  termios keys;
  if (tcgetattr(STDIN_FILENO, &keys) == 0) {
    keys.c_cc[VSUSP] = _POSIX_VDISABLE;
    tcsetattr(STDIN_FILENO, TCSANOW, &keys);
    def_prog_mode();
  }
  TakeSize();
}

Screen::~Screen() {
  if (terminal_ == nullptr) return;
  endwin();
  tcsetattr(STDIN_FILENO, TCSANOW, &g_before);
  SetFaultCleanup(nullptr);
  delscreen(static_cast<SCREEN*>(terminal_));
  errors_.reset();
}

int Screen::input_fd() const { return STDIN_FILENO; }

void Screen::TakeSize() {
  winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0 &&
      is_term_resized(size.ws_row, size.ws_col)) {
    resizeterm(size.ws_row, size.ws_col);
    clearok(curscr, true);
  }
  getmaxyx(stdscr, rows_, columns_);
}

void Screen::Suspend() {
  endwin();
  tcsetattr(STDIN_FILENO, TCSANOW, &g_before);
  kill(getpid(), SIGSTOP);
  reset_prog_mode();
  clearok(curscr, true);
  refresh();
}

std::optional<int> Screen::NextKey() {
  TakeSize();
  for (int key = getch(); key != ERR; key = getch()) {
    switch (key) {
      case kCtrlZ:
        Suspend();
        continue;
      case KEY_RESIZE:
        TakeSize();
        continue;
      case KEY_UP:
        return static_cast<int>(Key::kUp);
      case KEY_DOWN:
        return static_cast<int>(Key::kDown);
      case KEY_PPAGE:
        return static_cast<int>(Key::kPageUp);
      case KEY_NPAGE:
        return static_cast<int>(Key::kPageDown);
      case KEY_HOME:
        return static_cast<int>(Key::kHome);
      case KEY_END:
        return static_cast<int>(Key::kEnd);
      case '\t':
        return static_cast<int>(Key::kTab);
      case KEY_BTAB:
        return static_cast<int>(Key::kBackTab);
      default:
        if (key < 256) return key;
    }
  }
  return std::nullopt;
}

void Screen::Draw(const std::vector<StyledLine>& lines) {
  erase();
  for (int row = 0; row < rows_ && row < static_cast<int>(lines.size()); ++row) {
    move(row, 0);
    for (const Piece& piece : lines[static_cast<size_t>(row)]) {
      attrset(AttributesOf(piece.style, colours_));
      addstr((utf8_ ? piece.text : AsciiText(piece.text)).c_str());
    }
  }
  attrset(0);
  refresh();
}

}  // namespace samovar
