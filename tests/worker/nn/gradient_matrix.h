// Which layers are checked on which shapes: every layer type that has a gradient is in one of the tables
// (gradient_matrix_test.cc).
#pragma once

#include <string>
#include <vector>

namespace samovar {

struct MatrixBottom {
  enum Kind {
    kLearnt,
    // Whole numbers below `classes`, which do not learn.
    kLabels,
    // From 0.15 to 1, which do not learn.
    kNumbers,
  };
  std::vector<int> shape;
  Kind kind = kLearnt;
  int classes = 0;
};

// Layers of one type: each of `fields` with each of `bottoms`.
struct MatrixRow {
  std::string type;
  // The layer's fields besides name, type and blobs. A layer that is no loss and has no loss_weight gets
  // row losses.
  std::vector<std::string> fields;
  std::vector<std::vector<MatrixBottom>> bottoms;
  int tops = 1;
  // Tops, the first ones, that have a row loss; 0: all of them.
  int losses = 0;
  // The layer may be written as working in place.
  bool in_place = false;
  // Of the learnt bottoms' values.
  float middle = 0;
  float reach = 1;
};

// Layers of one bottom that compute a value from one, or normalise.
std::vector<MatrixRow> NeuronRows();
// Layers that slide windows, multiply matrices, or look up.
std::vector<MatrixRow> ProductRows();
// Layers that join, cut and rearrange.
std::vector<MatrixRow> ShapeRows();
std::vector<MatrixRow> LossRows();

}  // namespace samovar
