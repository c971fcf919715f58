#!/usr/bin/python3
"""Runs clang-tidy over the sources of the project, one process per core.

Prints every finding. Fails on those that .clang-tidy makes errors and on files
that do not compile under clang; counts the rest by check.

Reading the same headers again takes most of the time of a file, so files with
the same flags are read a batch at a time, as one translation unit. A batch with
errors (two of its files may have the same name for something of their own) is
read again in halves, down to the file.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

LAYERS = ("base quant kernels numa attention moe model engine rpc daemon ctl "
          "bench").split()
BATCH = 12  # files
FINDING = re.compile(r"^(/[^:]+):(\d+):\d+: (warning|error): .*\[([^\]]+)\]$")


def flags_for_clang(build, root):
    """{source of a layer: its flags}, by the build's compilation database,
    without those only GCC knows."""
    flags = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        file = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if not file.is_relative_to(root):
            continue
        if file.relative_to(root).parts[0] not in LAYERS:
            continue
        words = shlex.split(entry["command"])
        # Before the compiler stands what launches it through a cache; behind
        # the flags stand the object and the source.
        compiler = next(i for i, w in enumerate(words) if w.endswith("++"))
        words = words[compiler + 1:words.index("-o")]
        flags[file] = [w for w in words if w != "-Werror"] + [
            "-Wno-unknown-warning-option"]
    return flags


def batches_of(files, flags):
    """Files with equal flags and of one folder, BATCH at most."""
    alike = collections.defaultdict(list)
    for file in files:
        alike[file.parent, *flags[file]].append(file)
    return [group[i:i + BATCH] for group in alike.values()
            for i in range(0, len(group), BATCH)]


class Tidy:
    """clang-tidy over batches of files that have the same flags."""

    def __init__(self, program, folder, root, flags):
        self._program = program
        self._folder = folder  # of the translation units
        self._root = root
        self._flags = flags
        folder.mkdir(exist_ok=True)

    def _unit_of(self, batch):
        if len(batch) == 1:
            return batch[0]
        stem = str(batch[0].relative_to(self._root).with_suffix(""))
        unit = self._folder / f"{stem.replace('/', '_')}_{len(batch)}.cc"
        unit.write_text("".join(f'#include "{f}"\n' for f in batch))
        return unit

    def read(self, batch):
        """[(output, the file with errors or None)]"""
        result = subprocess.run(
            [self._program, "--quiet",
             f"--config-file={self._root / '.clang-tidy'}",
             str(self._unit_of(batch)), "--", *self._flags[batch[0]]],
            cwd=self._root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False)
        if result.returncode == 0:
            return [(result.stdout, None)]
        if len(batch) == 1:
            return [(result.stdout, batch[0])]
        half = len(batch) // 2
        return self.read(batch[:half]) + self.read(batch[half:])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clang-tidy", default="clang-tidy-14")
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("files", nargs="*", type=pathlib.Path,
                        help="only these instead of all")
    args = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parents[2]
    flags = flags_for_clang(args.build, root)
    files = [f.resolve() for f in args.files] or sorted(flags)
    for file in files:
        if file not in flags:
            parser.error(f"{file} is no source that {args.build} compiles")
    batches = batches_of(files, flags)
    tidy = Tidy(args.clang_tidy, args.build.resolve() / "tidy", root, flags)

    findings = set()
    failed = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for results in pool.map(tidy.read, batches):
            for output, file_with_errors in results:
                for line in output.splitlines():
                    match = FINDING.match(line)
                    if match:
                        findings.add((line.replace(f"{root}/", ""), match[4]))
                if file_with_errors:
                    failed.append(file_with_errors.relative_to(root))
                    sys.stderr.write(output)
    for line, _ in sorted(findings):
        print(line)
    by_check = collections.Counter(check for _, check in findings)
    for check, count in by_check.most_common():
        print(f"{count:5} {check}")
    print(f"{len(files)} files, {len(findings)} findings, "
          f"{len(failed)} files with errors")
    for file in failed:
        print(f"clang-tidy reports errors in {file}", file=sys.stderr)
    return 1 if failed or not files else 0


if __name__ == "__main__":
    sys.exit(main())
