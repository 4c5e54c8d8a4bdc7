#!/usr/bin/env python3
"""Draws what scale_bench has written: images a second over the number of workers, a line for each number of servers (or mode, encoding,
network), as an SVG with two logarithmic axes. Without other packages.

    scale_bench --solver S --shape CxHxW > lenet.csv
    python3 benchmarks/scale/plots.py lenet.csv --lines servers --title "LeNet, 10 Gb/s" --output lenet.svg
    python3 benchmarks/scale/plots.py --knees lenet.csv vgg16.csv       Markdown: where each line leaves 0.8 of the ideal
"""

import argparse
import csv
import html
import math
import pathlib
import sys
from typing import Dict, List, Tuple

WIDTH, HEIGHT = 720, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 130, 40, 50
COLOURS = ["#1b6ca8", "#d1495b", "#2e8b57", "#b8860b", "#6a4c93", "#00798c", "#8b5a2b", "#555555"]
# A line is at its knee where the workers do less than this part of as many alone.
KNEE = 0.8

Row = Dict[str, str]
Line = List[Tuple[float, float]]


def read(paths: List[pathlib.Path]) -> List[Row]:
    rows: List[Row] = []
    for path in paths:
        with open(path, encoding="utf-8", newline="") as file:
            rows += csv.DictReader(file)
    return rows


def lines_of(rows: List[Row], by: str) -> Dict[str, Line]:
    lines: Dict[str, Line] = {}
    for row in rows:
        lines.setdefault(row[by], []).append((float(row["workers"]), float(row["images_per_second"])))
    return {name: sorted(line) for name, line in lines.items()}


class Axis:
    """A logarithmic scale from pixels `begin` to `end`."""

    def __init__(self, values: List[float], begin: float, end: float) -> None:
        self._low = math.floor(math.log10(min(values)) * 3) / 3
        self._high = max(self._low + 1 / 3, math.ceil(math.log10(max(values)) * 3) / 3)
        self._begin, self._end = begin, end

    def at(self, value: float) -> float:
        part = (math.log10(value) - self._low) / (self._high - self._low)
        return self._begin + part * (self._end - self._begin)

    def ticks(self) -> List[float]:
        powers = range(math.floor(self._low), math.ceil(self._high) + 1)
        values = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
        return [value for value in values if self._low - 1e-9 <= math.log10(value) <= self._high + 1e-9]


def number(value: float) -> str:
    return f"{value:g}" if value < 1e4 else f"{value / 1e3:g}k" if value < 1e6 else f"{value / 1e6:g}M"


def draw(rows: List[Row], by: str, title: str) -> str:
    lines = lines_of(rows, by)
    alone = min(rate / workers for line in lines.values() for workers, rate in line[:1])
    x = Axis([point[0] for line in lines.values() for point in line], LEFT, WIDTH - RIGHT)
    y = Axis([point[1] for line in lines.values() for point in line], HEIGHT - BOTTOM, TOP)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', f'<text x="{LEFT}" y="22" font-size="15">{html.escape(title)}</text>']
    for value in x.ticks():
        parts.append(f'<path d="M{x.at(value):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#e4e4e4"/>'
                     f'<text x="{x.at(value):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{number(value)}</text>')
    for value in y.ticks():
        parts.append(f'<path d="M{LEFT} {y.at(value):.1f}H{WIDTH - RIGHT}" stroke="#e4e4e4"/>'
                     f'<text x="{LEFT - 6}" y="{y.at(value) + 4:.1f}" text-anchor="end">{number(value)}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">workers</text>'
                 f'<text transform="translate(16 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">images/s</text>')
    workers = sorted({point[0] for line in lines.values() for point in line})
    ideal = " ".join(f"{x.at(count):.1f},{y.at(count * alone):.1f}" for count in workers
                     if math.log10(count * alone) <= math.log10(max(point[1] for line in lines.values() for point in line)) + 0.05)
    parts.append(f'<polyline points="{ideal}" fill="none" stroke="#999" stroke-dasharray="4 4"/>')
    for i, (name, line) in enumerate(lines.items()):
        colour = COLOURS[i % len(COLOURS)]
        points = " ".join(f"{x.at(count):.1f},{y.at(rate):.1f}" for count, rate in line)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
                     f'<path d="M{WIDTH - RIGHT + 12} {TOP + 18 * i + 8}h18" stroke="{colour}" stroke-width="2"/>'
                     f'<text x="{WIDTH - RIGHT + 36}" y="{TOP + 18 * i + 12}">{html.escape(name + (" " + by if by == "servers" else ""))}</text>')
    return "\n".join(parts) + "\n</svg>\n"


def knee(line: Line) -> str:
    """The largest number of workers that still do KNEE of as many times what the first point's do each."""
    alone = line[0][1] / line[0][0]
    good = [workers for workers, rate in line if rate >= KNEE * workers * alone]
    return f"{max(good):.0f}" + (" or more" if max(good) == line[-1][0] else "")


def print_knees(rows: List[Row]) -> None:
    print("| net | network | mode | encoding | servers | workers at the knee | most images/s | there |\n|---|---|---|---|---|---|---|---|")
    keys = ("net", "network", "mode", "encoding", "servers")
    groups: Dict[Tuple[str, ...], List[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    for key, group in groups.items():
        best = max(group, key=lambda row: float(row["images_per_second"]))
        line = sorted((float(row["workers"]), float(row["images_per_second"])) for row in group)
        print(f"| {' | '.join(key)} | {knee(line)} | {float(best['images_per_second']):.4g} | {best['fullest']} {100 * float(best['used']):.0f} % |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=pathlib.Path, nargs="+")
    parser.add_argument("--lines", default="servers", choices=["servers", "mode", "encoding", "network", "net"])
    parser.add_argument("--title", default="")
    parser.add_argument("--output", type=pathlib.Path)
    parser.add_argument("--knees", action="store_true")
    options = parser.parse_args()
    rows = read(options.csv)
    if options.knees:
        print_knees(rows)
    if options.output:
        options.output.write_text(draw(rows, options.lines, options.title), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
