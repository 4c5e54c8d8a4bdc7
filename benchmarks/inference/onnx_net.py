"""An ONNX graph of a deploy net: a node for each layer, but for BatchNorm with the Scale above it, which are one.

Caffe's rounding up of pooled sizes is ceil_mode; its average counts the padding."""

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper
from prototxt import get, texts

# That of Clip and Softmax as they are today; the file's version is one that older runtimes read, too.
OPSET, IR_VERSION = 17, 9


class Graph:
    """`blobs`: arrays of each layer, by its name. `tops`: the graph's name of each blob of Caffe, as far as it is written."""

    def __init__(self, blobs):
        self.blobs, self.nodes, self.weights, self.tops = blobs, [], [], {"data": "data"}

    def weight(self, layer, values, what):
        name = f"{get(layer, 'name', '')}/{what}"
        self.weights.append(numpy_helper.from_array(numpy.ascontiguousarray(values), name))
        return name

    def add(self, layer, kind, *weights, **attributes):
        bottoms = [self.tops[bottom] for bottom in texts(layer, "bottom")]
        self.chain(layer, kind, [*bottoms, *weights], attributes)

    def chain(self, layer, kind, inputs, attributes):
        # A blob that layers work on in place has another name after each.
        output = f"{get(layer, 'name', '')}:{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        self.tops[texts(layer, "top")[0]] = output

    def convolution(self, layer):
        def field(name, default):
            return get(layer, "convolution_param." + name, default)
        weights = [self.weight(layer, values, i) for i, values in enumerate(self.blobs[get(layer, "name", "")])]
        self.add(layer, "Conv", *weights, kernel_shape=[field("kernel_size", 1)] * 2, pads=[field("pad", 0)] * 4,
                 strides=[field("stride", 1)] * 2, dilations=[field("dilation", 1)] * 2, group=field("group", 1))

    def inner_product(self, layer):
        self.add(layer, "Flatten", axis=1)
        weights = [self.weight(layer, values, i) for i, values in enumerate(self.blobs[get(layer, "name", "")])]
        flat = self.tops[texts(layer, "top")[0]]
        self.chain(layer, "Gemm", [flat, *weights], {"transB": 1})

    def pooling(self, layer):
        def field(name, default):
            return get(layer, "pooling_param." + name, default)
        average = field("pool", "MAX") == "AVE"
        if field("global_pooling", False):
            return self.add(layer, "GlobalAveragePool" if average else "GlobalMaxPool")
        attributes = {"kernel_shape": [field("kernel_size", 1)] * 2, "pads": [field("pad", 0)] * 4, "strides": [field("stride", 1)] * 2, "ceil_mode": 1}
        if average:
            attributes["count_include_pad"] = 1
        return self.add(layer, "AveragePool" if average else "MaxPool", **attributes)

    def batch_norm(self, layer, scale):
        mean, variance, factor = self.blobs[get(layer, "name", "")]
        of_scale = self.blobs[get(scale, "name", "")] if scale else []
        gamma = of_scale[0] if of_scale else numpy.ones_like(mean)
        beta = of_scale[1] if len(of_scale) > 1 else numpy.zeros_like(mean)
        weights = [self.weight(layer, values, what) for what, values in
                   (("gamma", gamma), ("beta", beta), ("mean", mean / factor), ("variance", variance / factor))]
        self.add(layer, "BatchNormalization", *weights, epsilon=get(layer, "batch_norm_param.eps", 1e-5))
        if scale:
            self.tops[texts(scale, "top")[0]] = self.tops[texts(layer, "top")[0]]

    def lrn(self, layer):
        if get(layer, "lrn_param.norm_region", "") == "WITHIN_CHANNEL":
            raise ValueError("no LRN within channels")
        self.add(layer, "LRN", size=get(layer, "lrn_param.local_size", 5), alpha=get(layer, "lrn_param.alpha", 1.0),
                 beta=get(layer, "lrn_param.beta", 0.75), bias=get(layer, "lrn_param.k", 1.0))

    def layer(self, layer, above):
        """`above`: the next layer. True if that is part of the node."""
        kind = get(layer, "type", "")
        if kind == "BatchNorm":
            scaled = above is not None and get(above, "type", "") == "Scale" and texts(above, "bottom") == texts(layer, "top")
            self.batch_norm(layer, above if scaled else None)
            return scaled
        simple = {"ReLU": ("Relu", {}), "Concat": ("Concat", {"axis": 1}), "Eltwise": ("Sum", {}), "Softmax": ("Softmax", {"axis": 1})}
        made = {"Convolution": self.convolution, "InnerProduct": self.inner_product, "Pooling": self.pooling, "LRN": self.lrn}
        if kind in simple:
            self.add(layer, simple[kind][0], **simple[kind][1])
        elif kind in made:
            made[kind](layer)
        elif kind != "Input":
            raise ValueError(f"no layer of type {kind}")
        return False


def model_of(layers, blobs, shape):
    graph, absorbed = Graph(blobs), False
    for layer, above in zip(layers, [*layers[1:], None]):
        absorbed = not absorbed and graph.layer(layer, above)
    data = helper.make_tensor_value_info("data", TensorProto.FLOAT, ["batch", *shape])
    output = helper.make_tensor_value_info(graph.nodes[-1].output[0], TensorProto.FLOAT, None)
    made = helper.make_graph(graph.nodes, "net", [data], [output], graph.weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def write(layers, layout, floats, shape, path):
    """`layout`: the blobs that inference_bench lists; `floats`: all parameters."""
    blobs, at = {}, 0
    for blob in layout:
        count = int(numpy.prod(blob["shape"]))
        blobs.setdefault(blob["layer"], []).append(floats[at:at + count].reshape(blob["shape"]))
        at += count
    if at != len(floats):
        raise ValueError("the layout has another number of parameters than the file")
    onnx.save(model_of(layers, blobs, shape), path)
