// Where a net stands in the user's file, for messages about the net that is made of it.
#pragma once

#include <string>
#include <vector>

namespace samovar {

struct NetOrigin {
  // "net.prototxt", or "solver.prototxt:3:1" of a net that stands in a solver.
  std::string file;
  // The net's part in its solver: "TRAIN net", "TEST net #0"; empty if it has no solver.
  std::string name;
  // One entry a layer of the net: "net.prototxt:12:1".
  std::vector<std::string> layers;

  // The beginning of a message about the layer of this number, "net.prototxt:12:1: TRAIN net: "; without its line if
  // there is no such layer (-1: the message is about the whole net).
  std::string Prefix(int layer) const;
};

}  // namespace samovar
