#include "cli/terminal/view_state.h"

#include <algorithm>

namespace samovar {
namespace {

constexpr int kPage = 10;
// More than any table has; it is brought back when the table is drawn.
constexpr int kFar = 1 << 20;

}  // namespace

bool TakeKey(int key, ViewState* state) {
  int& scrolled = state->scrolled[state->focus];
  const auto scroll = [&](int rows) {
    scrolled = std::clamp(scrolled + rows, 0, kFar);
    return true;
  };
  switch (key) {
    case 'q':
    case 'Q':
      state->quit = true;
      return true;
    case '?':
    case 'h':
      state->help = !state->help;
      return true;
    case 27:  // Escape.
      return state->help && !(state->help = false);
    case static_cast<int>(Key::kTab):
    case static_cast<int>(Key::kBackTab):
      state->focus = (state->focus + (key == static_cast<int>(Key::kTab) ? 1 : kTables - 1)) % kTables;
      return true;
    case 'k':
    case static_cast<int>(Key::kUp):
      return scroll(-1);
    case 'j':
    case static_cast<int>(Key::kDown):
      return scroll(1);
    case static_cast<int>(Key::kPageUp):
      return scroll(-kPage);
    case ' ':
    case static_cast<int>(Key::kPageDown):
      return scroll(kPage);
    case static_cast<int>(Key::kHome):
      return scroll(-kFar);
    case static_cast<int>(Key::kEnd):
      return scroll(kFar);
    default:
      return false;
  }
}

}  // namespace samovar
