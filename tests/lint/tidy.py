#!/usr/bin/python3
"""Runs clang-tidy over the sources of the project, one process per core.

Prints every finding. Fails on those that .clang-tidy makes errors and on files
that do not compile under clang; counts the rest by check.
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
FINDING = re.compile(r"^(/[^:]+):(\d+):\d+: (warning|error): .*\[([^\]]+)\]$")


def sources(build, root):
    """Files of the layers in the build's compilation database."""
    entries = json.loads((build / "compile_commands.json").read_text())
    found = set()
    for entry in entries:
        file = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if not file.is_relative_to(root):
            continue
        if file.relative_to(root).parts[0] in LAYERS:
            found.add(file)
    return sorted(found)


def database_for_clang(build):
    """A copy of the compilation database without the flags only GCC knows."""
    entries = json.loads((build / "compile_commands.json").read_text())
    for entry in entries:
        words = shlex.split(entry["command"])
        # Before the compiler stands what launches it through a cache.
        compiler = next(i for i, w in enumerate(words) if w.endswith("++"))
        words = [w for w in words[compiler:] if w != "-Werror"]
        entry["command"] = shlex.join(words + ["-Wno-unknown-warning-option"])
    folder = build / "tidy"
    folder.mkdir(exist_ok=True)
    (folder / "compile_commands.json").write_text(json.dumps(entries))
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clang-tidy", default="clang-tidy-14")
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("files", nargs="*", type=pathlib.Path,
                        help="only these instead of all")
    args = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parents[2]
    files = [f.resolve() for f in args.files] or sources(args.build, root)
    database = database_for_clang(args.build)

    def tidy(file):
        return subprocess.run(
            [args.clang_tidy, "-p", str(database), "--quiet", str(file)],
            cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False)

    findings = set()
    failed = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, result in zip(files, pool.map(tidy, files)):
            lines = result.stdout.splitlines()
            for line in lines:
                match = FINDING.match(line)
                if match:
                    findings.add((line.replace(f"{root}/", ""), match[4]))
            if result.returncode != 0:
                failed.append(file.relative_to(root))
                sys.stderr.write(result.stdout)
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
