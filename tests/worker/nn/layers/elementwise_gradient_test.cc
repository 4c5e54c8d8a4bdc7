// Gradients of the layers that compute each value from one, in place or not, on any number of threads.
#include <string>

#include "tests/support/catch.h"
#include "tests/worker/nn/gradient_check.h"

namespace samovar {
namespace {

TEST_CASE("gradients of smooth element-wise layers agree with differences, in place and on threads too") {
  CheckLayerOfEqualShapes("Sigmoid", "");
  CheckLayerOfEqualShapes("TanH", "");
  CheckLayerOfEqualShapes("BNLL", "");
  CheckLayerOfEqualShapes("Swish", "");
  CheckLayerOfEqualShapes("Swish", "swish_param { beta: -2.5 }");
}

TEST_CASE("gradients of element-wise layers with kinks agree with differences, in place and on threads too") {
  CheckLayerOfEqualShapes("AbsVal", "");
  CheckLayerOfEqualShapes("Clip", "clip_param { min: 0 max: 5 }");
  CheckLayerOfEqualShapes("Clip", "clip_param { min: -5 max: 0 }");
  CheckLayerOfEqualShapes("ELU", "");
  CheckLayerOfEqualShapes("ELU", "elu_param { alpha: 0.4 }");
  CheckLayerOfEqualShapes("ELU", "elu_param { alpha: -0.6 }");
}

TEST_CASE("Power's gradient agrees with differences, in place and on threads too") {
  CheckLayerOfEqualShapes("Power", "power_param { power: 2 scale: 0.5 shift: 1 }");
  CheckLayerOfEqualShapes("Power", "power_param { power: -1.5 scale: 0.8 shift: 2 }");
  CheckLayerOfEqualShapes("Power", "power_param { power: 3 scale: -1.5 }");
  CheckLayerOfEqualShapes("Power", "power_param { scale: -1.5 shift: 0.25 }");
}

TEST_CASE("gradients of Exp and Log agree with differences, in place and on threads too") {
  CheckLayerOfEqualShapes("Exp", "");
  CheckLayerOfEqualShapes("Exp", "exp_param { base: 2 scale: -0.7 shift: 0.5 }");
  CheckLayerOfEqualShapes("Log", "log_param { shift: 2 }");
  CheckLayerOfEqualShapes("Log", "log_param { base: 3 scale: 1.5 shift: 2 }");
}

TEST_CASE("PReLU's gradients agree with differences, in place and on threads too") {
  CheckLayerOfEqualShapes("PReLU", "");
  CheckLayerOfEqualShapes("PReLU", "prelu_param { channel_shared: true }");
}

TEST_CASE("Dropout's gradient agrees with differences, in place and on threads too") {
  CheckLayerOfEqualShapes("Dropout", "");
  CheckLayerOfEqualShapes("Dropout", "dropout_param { dropout_ratio: 0.2 }");
}

TEST_CASE("element-wise layers in a row in place compute what they would compute elsewhere") {
  // Those that need their bottom again, their top, or neither, each above each.
  const std::string chain = R"(
      layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 6 } }
      layer { name: "1" type: "Sigmoid" bottom: "a" top: "a" }
      layer { name: "2" type: "AbsVal" bottom: "a" top: "a" }
      layer { name: "3" type: "Dropout" bottom: "a" top: "a" }
      layer { name: "4" type: "TanH" bottom: "a" top: "a" }
      layer { name: "5" type: "Dropout" bottom: "a" top: "a" dropout_param { dropout_ratio: 0.1 } }
      layer { name: "6" type: "Power" bottom: "a" top: "a" power_param { scale: 3 shift: -0.5 } }
      layer { name: "7" type: "Swish" bottom: "a" top: "a" }
      layer { name: "8" type: "ELU" bottom: "a" top: "a" }
      layer { name: "9" type: "PReLU" bottom: "a" top: "a" }
      layer { name: "head" type: "InnerProduct" bottom: "a" top: "head" inner_product_param { num_output: 3 } }
      layer { name: "loss" type: "SoftmaxWithLoss" bottom: "head" bottom: "label" top: "loss" })";
  CheckGradients(chain, {.channels = 1, .height = 3, .width = 5});
}

}  // namespace
}  // namespace samovar
