"""A shipped net as it classifies: an Input layer, the layers of phase TEST that its last classifier needs, and Softmax."""

import prototxt
from prototxt import get, texts


def layers_of(net):
    """Of a ComparedNet, as prototxt reads them."""
    model = prototxt.read(net.solver_path.parent / prototxt.get(net.solver(), "net", ""))
    layers = [layer for layer in model["layer"] if prototxt.in_phase(layer, "TEST")]
    last = [layer for layer in layers if get(layer, "type", "") == "SoftmaxWithLoss"][-1]
    needed, kept = {texts(last, "bottom")[0]}, []
    for layer in reversed(layers):
        # No data: the Input layer takes their place. Dropout does nothing in TEST.
        if needed.isdisjoint(texts(layer, "top")) or get(layer, "type", "") in ("Data", "Accuracy", "SoftmaxWithLoss", "Dropout"):
            continue
        needed.update(texts(layer, "bottom"))
        kept.append(layer)
    shape = {"dim": ["1", *map(str, net.shape)]}
    first = {"name": ['"data"'], "type": ['"Input"'], "top": ['"data"'], "input_param": [{"shape": [shape]}]}
    softmax = {"name": ['"prob"'], "type": ['"Softmax"'], "bottom": last["bottom"][:1], "top": ['"prob"']}
    # Rates, fillers and phases mean nothing here.
    kept = [{key: values for key, values in layer.items() if key not in ("param", "include", "exclude")} for layer in kept]
    return [first, *reversed(kept), softmax]


def text_of(net):
    return f'name: "{net.name}"\n' + prototxt.write({"layer": layers_of(net)})
