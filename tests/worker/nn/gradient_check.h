// Gradients against double-sided differences of the loss.
//
// Tolerance: the loss is of order 1 and rounded to 1e-7 or so after sums of at most some hundred terms (5e-7 in all); a
// step of 4e-3 makes of that 5e-7 / 8e-3 = 6e-5. The third derivative adds about step^2 / 6 = 3e-6 times a factor of a
// few. 1e-3 of the larger of 1 and the gradient leaves room; a wrong term shows as 1e-2 or more. What a step moves over
// a kink of a maximum or of ReLU is kept rare by few kinks and counted: at most 2 % of the weights may miss the
// tolerance, and none by far.
#pragma once

#include <string>

namespace samovar {

struct GradientCase {
  // More than one piece of records, the last one short.
  int batch = 11;
  int channels = 4;
  int height = 6;
  int width = 7;
  int classes = 3;
  // A layer whose weights' gradients are not compared, since other cases do: it keeps cases fast.
  std::string trusted = "";
  // Makes data, and the weights of the first layer, which must have one input a value, 0.5 to 1 in size, and its biases
  // less than
  // 0.1: its tops keep away from 0, where the layer above may have a kink. Other weights grow fourfold, and gradients
  // with them.
  bool gap = false;
};

// Compares the gradients of all weights of a net of DataText and `layers`. What stands above a layer with weights is
// checked through these.
void CheckGradients(const std::string& layers, const GradientCase& options = {});

// Checks one layer with a bottom and a top of equal shapes, and no kink but at 0: its gradient on images, odd images
// and records of one axis; that it computes the same bits in place; that threads change no bit. `fields` is what stands
// in the layer besides name, type and blobs.
void CheckLayerOfEqualShapes(const std::string& type, const std::string& fields);

}  // namespace samovar
