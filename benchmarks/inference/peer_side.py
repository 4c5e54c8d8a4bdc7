#!/usr/bin/env python3
"""A peer's side of compare.py: OpenCV's dnn or ONNX Runtime, passes of one net, a round for each line on standard input."""

import argparse
import pathlib
import sys

import numpy

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "training"))
import serving  # noqa: E402


def opencv(folder, images, threads):
    import cv2
    cv2.setNumThreads(threads)
    net = cv2.dnn.readNetFromCaffe(f"{folder}/deploy.prototxt", f"{folder}/net.caffemodel")

    def step():
        net.setInput(images)
        return net.forward()

    return f"opencv {cv2.__version__}", step


def onnxruntime(folder, images, threads):
    import onnxruntime as runtime
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_free_dimension_override_by_name("batch", len(images))
    session = runtime.InferenceSession(f"{folder}/net.onnx", options, providers=["CPUExecutionProvider"])
    return f"onnxruntime {runtime.__version__}", lambda: session.run(None, {"data": images})[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--system", choices=["opencv", "onnxruntime"], required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--shape", type=int, nargs=3, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--warm-up", type=int, default=2)
    options = parser.parse_args()
    # Two images, and the outputs of each.
    check = numpy.fromfile(f"{options.folder}/check.f32", numpy.float32)
    of_images = 2 * int(numpy.prod(options.shape))
    images = check[:of_images].reshape(2, *options.shape)[numpy.arange(options.batch) % 2]
    expected = check[of_images:].reshape(2, -1)[numpy.arange(options.batch) % 2]
    import_mib = serving.resident_mib()
    version, step = {"opencv": opencv, "onnxruntime": onnxruntime}[options.system](options.folder, images, options.threads)
    difference = float(numpy.abs(step().reshape(options.batch, -1) - expected).max())
    serving.serve({"system": options.system, "version": version, "import_mib": import_mib, "difference": difference}, step, options)


if __name__ == "__main__":
    main()
