#!/usr/bin/env python3
"""Checks that includes go down the list of layers only.

A folder may include itself and the folders before it in the list; attention and
moe never include each other. tests/ and bench/ may include everything, and
nothing outside includes them.
"""
import pathlib
import re
import sys

LAYERS = ["base", "quant", "kernels", "numa", "attention", "moe", "model",
          "engine", "rpc", "daemon", "ctl"]
APART = {("attention", "moe"), ("moe", "attention")}
OUTSIDE = ["tests", "bench"]
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"/]+)/', re.MULTILINE)


def allowed(source, target):
    if target in OUTSIDE:
        return False
    if target not in LAYERS:  # a library, or generated code
        return True
    return (LAYERS.index(target) <= LAYERS.index(source)
            and (source, target) not in APART)


def violations(root):
    files = 0
    for layer in LAYERS:
        for path in sorted((root / layer).rglob("*")):
            if path.suffix not in (".h", ".cc"):
                continue
            files += 1
            for target in INCLUDE.findall(path.read_text(encoding="utf-8")):
                if not allowed(layer, target):
                    yield f"{path.relative_to(root)} includes {target}/"
    if files == 0:
        yield f"no sources under {root}"


def main():
    found = list(violations(pathlib.Path(sys.argv[1])))
    for line in found:
        print(line)
    if found:
        print("Includes may only go down the list: " + ", ".join(LAYERS)
              + "; attention and moe never include each other.")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
