// ViewState is the part of a view that a user has chosen with keys.
//
// Thread safety: none.
#pragma once

#include <array>
#include <cstddef>

namespace samovar {

// Keys beyond those that are characters.
enum class Key : int { kUp = 1000, kDown, kPageUp, kPageDown, kHome, kEnd, kTab, kBackTab };

// Tables, of which one takes the keys.
inline constexpr size_t kTables = 3;

struct ViewState {
  size_t focus = 0;
  // Rows by which each table was scrolled.
  std::array<int, kTables> scrolled = {};
  bool help = false;
  bool quit = false;
};

// `key`: a character, or a Key. Returns whether it means something.
bool TakeKey(int key, ViewState* state);

}  // namespace samovar
