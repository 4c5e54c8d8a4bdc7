// Draws a curve with characters: Braille patterns, which have two by four dots each, or plain ASCII.
//
// Thread safety: all functions may be called from any thread.
#pragma once

#include <string>
#include <vector>

#include "cli/terminal/styled.h"

namespace samovar {

// Its x ascends.
struct CurvePoint {
  double x = 0;
  double y = 0;
};

struct PlotFrame {
  int rows = 0;
  int columns = 0;
  // The values at the left and at the right edge.
  double first_x = 0;
  double last_x = 1;
  bool utf8 = true;
};

// So many rows: on the left the highest and the lowest value, at the bottom right nothing. Single values far above all
// others, as at the beginning of training, do not press the rest flat: they are at the upper edge. Values that are no
// numbers are left out. No points: blank rows.
std::vector<StyledLine> PlotCurve(const std::vector<CurvePoint>& points, const PlotFrame& frame);

// A bar of so many columns, filled to that part.
std::string ProgressBar(double part, int columns, bool utf8);

}  // namespace samovar
