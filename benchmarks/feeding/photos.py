"""The records of the comparison: images like photographs, made from a seed, as JPEG files with a list, as an LMDB of these files and as
an LMDB of bytes, with the mean image of all."""

import json
import pathlib
import subprocess
import sys

import numpy
from PIL import Image, ImageDraw

import records

SIDE = 256
QUALITY = 90
# Standard deviation of the light of waves of so many pixels; and of the grain of a sensor.
WAVES = {128: 34, 64: 22, 32: 17, 16: 14, 8: 13, 4: 15, 2: 14}
GRAIN = 6
CLASSES = 10


def noise(random, wave):
    small = random.normal(size=(3, SIDE // wave + 1, SIDE // wave + 1)) * 0.4 + random.normal(size=(1, SIDE // wave + 1, SIDE // wave + 1))
    return numpy.stack([numpy.asarray(Image.fromarray(plane.astype(numpy.float32)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for plane in small], -1)


def photo(random):
    light = random.uniform(90, 140) + sum(deviation * noise(random, wave) for wave, deviation in WAVES.items())
    image = Image.fromarray(numpy.clip(light, 0, 255).astype(numpy.uint8))
    draw = ImageDraw.Draw(image, "RGBA")
    for _ in range(random.integers(3, 8)):
        x, y, width, height = random.integers(0, SIDE, 2).tolist() + random.integers(20, 120, 2).tolist()
        colour = tuple(random.integers(0, 256, 3).tolist()) + (int(random.integers(90, 256)),)
        shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
        shape((x - width, y - height, x + width, y + height), fill=colour)
    grained = numpy.asarray(image).astype(numpy.float32) + random.normal(size=(SIDE, SIDE, 3)) * GRAIN
    return Image.fromarray(numpy.clip(grained, 0, 255).astype(numpy.uint8))


def make(folder, count, samovar):
    """Files in `folder`, unless it has that many images already: images/, list.txt, encoded/, raw/, mean.binaryproto."""
    folder = pathlib.Path(folder)
    done = folder / "done.json"
    wanted = {"count": count, "waves": str(WAVES), "grain": GRAIN, "quality": QUALITY}
    if done.exists() and json.loads(done.read_text(encoding="ascii")) == wanted:
        return
    (folder / "images").mkdir(parents=True, exist_ok=True)
    random = numpy.random.default_rng(1)
    lines = []
    for number in range(count):
        name = f"{number:05d}.jpg"
        photo(random).save(folder / "images" / name, quality=QUALITY)
        lines.append(f"{name} {number % CLASSES}\n")
    (folder / "list.txt").write_text("".join(lines), encoding="ascii")
    files = ["--list", folder / "list.txt", "--root", folder / "images", "--force"]
    for output, flags in (("encoded", ["--encoded"]), ("raw", [])):
        run([samovar, "data", "import", "images", *files, "--output", folder / output, *flags])
    run([samovar, "data", "mean", folder / "raw", "--output", folder / "mean.binaryproto"])
    done.write_text(json.dumps(wanted), encoding="ascii")


def run(command):
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)


def layer(folder, kind, mean):
    """The data layer of a net in prototxt."""
    batch, crop = records.BATCH, records.CROP
    folder = pathlib.Path(folder)
    means = f'mean_file: "{folder}/mean.binaryproto"' if mean == "file" else " ".join(f"mean_value: {value}" for value in records.MEAN_VALUES)
    transform = f"transform_param {{ crop_size: {crop} mirror: true {means} }}"
    if kind == "list":
        source = f'image_data_param {{ source: "{folder}/list.txt" root_folder: "{folder}/images" batch_size: {batch} }}'
        return f'layer {{ name: "data" type: "ImageData" top: "data" top: "label" {transform} {source} }}\n'
    source = f'data_param {{ source: "{folder}/{kind}" backend: LMDB batch_size: {batch} }}'
    return f'layer {{ name: "data" type: "Data" top: "data" top: "label" {transform} {source} }}\n'


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        print(layer(*sys.argv[2:]))
