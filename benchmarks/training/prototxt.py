"""Reads prototxt, and writes it again. A message is a dict from a field's name to the list of its values: messages, and the words
of the text, strings with their quotation marks. Works with Python 3.8, which Caffe's package needs."""

import pathlib
import re

TOKEN = re.compile(r"""\s+|\#[^\n]*|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[A-Za-z0-9_.+-]+|[{}:;,\[\]<>])""")


def tokens_of(text):
    at = 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"prototxt: unexpected {text[at:at + 20]!r}")
        at = match.end()
        if match.group(1):
            yield match.group(1)


def parse(text):
    tokens = list(tokens_of(text))
    message, at = _message(tokens, 0)
    if at != len(tokens):
        raise ValueError(f"prototxt: unexpected {tokens[at]!r}")
    return message


def _message(tokens, at):
    message = {}
    while at < len(tokens) and tokens[at] not in "}>":
        values = message.setdefault(tokens[at], [])
        at += 1
        if tokens[at] == ":":
            at += 1
        if tokens[at] in "{<":
            value, at = _message(tokens, at + 1)
            values.append(value)
        elif tokens[at] == "[":
            end = tokens.index("]", at)
            values.extend(token for token in tokens[at + 1:end] if token != ",")
            at = end
        else:
            values.append(tokens[at])
        at += 1
        if at < len(tokens) and tokens[at] in ",;":
            at += 1
    return message, at


def read(path):
    return parse(pathlib.Path(path).read_text(encoding="utf-8"))


def write(message, indent=""):
    lines = []
    for name, values in message.items():
        for value in values:
            if isinstance(value, dict):
                lines.append(f"{indent}{name} {{\n{write(value, indent + '  ')}{indent}}}\n")
            else:
                lines.append(f"{indent}{name}: {value}\n")
    return "".join(lines)


def get(message, path, default):
    """The last value of a field, "convolution_param.num_output" for instance, in the type of the default."""
    *messages, field = path.split(".")
    for name in messages:
        message = message.get(name, [{}])[-1]
    if field not in message:
        return default
    value = message[field][-1]
    if isinstance(default, bool):
        return value == "true"
    if isinstance(default, str):
        return value.strip("\"'")
    return type(default)(value)


def texts(message, field):
    return [value.strip("\"'") for value in message.get(field, [])]


def in_phase(layer, phase):
    """Whether a net has the layer in TRAIN or TEST; rules of levels and stages are not known here."""
    includes = [get(rule, "phase", "") for rule in layer.get("include", [])]
    excludes = [get(rule, "phase", "") for rule in layer.get("exclude", [])]
    return (not includes or phase in includes) and phase not in excludes
