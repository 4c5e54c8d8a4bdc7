#!/usr/bin/env python3
"""Whether the dashboard's bundle, which the programs contain, is made of the source beside it. No npm: digests are compared.

    python3 tests/house/bundle_check.py [ROOT]

server/dashboard/bundle/SHA256SUMS has the digests of what the bundle was made of and of its files. tests/web/run.sh makes the bundle
anew and compares all bytes.
"""

import hashlib
import pathlib
import sys
from typing import Iterator

MAKE = "make the bundle again: cd server/dashboard && npm ci && npm run build"


def wrong(dashboard: pathlib.Path) -> Iterator[str]:
    named = {}
    for line in (dashboard / "bundle" / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        named[name] = digest
    there = {str(path.relative_to(dashboard)) for folder in ("source", "bundle") for path in (dashboard / folder).iterdir()}
    there |= {"build.mjs", "package.json", "package-lock.json", "tsconfig.json"}
    there.discard("bundle/SHA256SUMS")
    for name in sorted(there | set(named)):
        if name not in named:
            yield f"{name} is not in the bundle"
        elif name not in there:
            yield f"{name} was in the bundle, and is not there any more"
        elif hashlib.sha256((dashboard / name).read_bytes()).hexdigest() != named[name]:
            yield f"{name} has changed since the bundle was made"


def main() -> int:
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]
    found = list(wrong(root / "server" / "dashboard"))
    for line in found:
        print(f"server/dashboard: {line}")
    print(f"the dashboard's bundle is not of its source; {MAKE}" if found else "the dashboard's bundle is of its source")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
