#!/usr/bin/env python3
"""Times mla-bench and other engines on one model file, in turns, and prints a
Markdown table of their speeds and ratios.

  compare.py --model lite.gguf --node --pp 512,4096 --tg 64 --depth 128,4096
  compare.py --model lite.gguf --llama-bench ~/ik_llama.cpp/build/bin/llama-bench \\
             --llama-bench-args "-fa 1 -mla 3 -rtr 1 -fmoe 1 -ctk q8_0"

Every round runs each test once on every engine, one right after the other, and
in the opposite order the next time. A ratio is the median over the rounds of
mlad's speed over the peer's in the same round: what slows the whole machine
for a while slows both. Peers are used as they are: nothing is downloaded or built,
except the npm package node-llama-cpp with --node.
"""
import argparse
import json
import os
import pathlib
import shlex
import statistics
import sys

from engines import (EngineError, LlamaBench, MlaBench, NodeLlamaCpp,
                     SweepBench, Test, TOP)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbers = lambda text: [int(n) for n in text.split(",") if n]
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--mla-bench", type=pathlib.Path,
                        default=TOP / "build/release/bin/mla-bench")
    parser.add_argument("--mla-args", default="", type=shlex.split)
    parser.add_argument("--kv", default="q8_kv", help="mlad's cache type")
    parser.add_argument("--node", action="store_true",
                        help="npm's prebuilt llama.cpp")
    parser.add_argument("--node-kv", default="F16",
                        help="its cache type: F16 or Q8_0")
    parser.add_argument("--llama-bench", type=pathlib.Path, metavar="PATH",
                        help="of an ik_llama.cpp or llama.cpp that you built")
    parser.add_argument("--llama-bench-args", "--args", default="",
                        type=shlex.split, metavar="ARGS")
    parser.add_argument("--sweep-bench", type=pathlib.Path, metavar="PATH",
                        help="llama-sweep-bench of ik_llama.cpp")
    parser.add_argument("--sweep-bench-args", default="", type=shlex.split,
                        metavar="ARGS")
    parser.add_argument("--sweep-step", type=int, default=512)
    parser.add_argument("--threads", type=int, default=os.cpu_count(),
                        help="of every engine")
    parser.add_argument("--nodes", type=int, default=1,
                        help="NUMA nodes that mlad divides its threads over")
    parser.add_argument("--pp", type=numbers, default=[512])
    parser.add_argument("--tg", type=int, default=64)
    parser.add_argument("--depth", type=numbers, default=[128])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--reps", type=int, default=1,
                        help="repetitions within a round")
    parser.add_argument("--together", action="store_true",
                        help="all tests of an engine in one go: fewer loads, "
                             "less well paired")
    parser.add_argument("--memory-context", type=int, metavar="TOKENS",
                        help="also cache and compute buffers at so many tokens")
    parser.add_argument("--json", type=pathlib.Path,
                        help="write all that was measured to this file")
    return parser.parse_args()


def make_engines(options):
    model = options.model.resolve(strict=True)
    threads = options.threads
    placement = ["--nodes", options.nodes, "--threads-per-node",
                 max(1, threads // options.nodes)]
    engines = [MlaBench(options.mla_bench.resolve(), model, options.kv,
                        [*placement, *options.mla_args])]
    if options.node:
        engines.append(NodeLlamaCpp(model, options.node_kv, threads))
    if options.llama_bench:
        engines.append(LlamaBench(options.llama_bench.resolve(), model, threads,
                                  options.llama_bench_args))
    if options.sweep_bench:
        engines.append(SweepBench(options.sweep_bench.resolve(), model, threads,
                                  options.sweep_bench_args, options.sweep_step))
    return engines


def measure(engines, tests, options):
    """speeds[engine][test]: one median a round; failures[engine][test]: why."""
    speeds = {e.name: {t.name: [] for t in tests} for e in engines}
    failures = {e.name: {} for e in engines}
    groups = [tests] if options.together else [[t] for t in tests]
    for turn in range(options.rounds):
        order = engines if turn % 2 == 0 else engines[::-1]
        for group in groups:
            for engine in order:
                todo = [t for t in group if t.name not in failures[engine.name]]
                if not todo:
                    continue
                print(f"round {turn + 1} of {options.rounds}: {engine.name}, "
                      + ", ".join(t.name for t in todo), file=sys.stderr)
                try:
                    for name, values in engine.run(todo, options.reps).items():
                        speeds[engine.name][name].append(
                            statistics.median(values))
                except EngineError as error:
                    print(error, file=sys.stderr)
                    for test in todo:
                        failures[engine.name][test.name] = str(error)
    return speeds, failures


def summary(values):
    return {"median": statistics.median(values), "min": min(values),
            "max": max(values)}


def compare(speeds, tests):
    """One row a test: a summary of each engine's speed and of mlad's ratio."""
    ours, *peers = speeds
    rows = []
    for test in tests:
        row = {"test": test.name, "speed": {}, "ratio": {}}
        for engine, by_test in speeds.items():
            if by_test[test.name]:
                row["speed"][engine] = summary(by_test[test.name])
        for peer in peers:
            pairs = list(zip(speeds[ours][test.name], speeds[peer][test.name]))
            if pairs:
                row["ratio"][peer] = summary([a / b for a, b in pairs])
        rows.append(row)
    return rows


def table(rows, engines, failures):
    ours, *peers = [e.name for e in engines]
    header = ["test", ours] + [c for p in peers for c in (p, "ratio")]
    lines = ["| " + " | ".join(header) + " |",
             "|---" + "|---:" * (len(header) - 1) + "|"]

    def cell(values, engine, test, form):
        if engine in values:
            v = values[engine]
            return (f"{v['median']:{form}} ({v['min']:{form}} to "
                    f"{v['max']:{form}})")
        return "failed" if test in failures[engine] else ""

    for row in rows:
        cells = [row["test"], cell(row["speed"], ours, row["test"], ".2f")]
        for peer in peers:
            cells += [cell(row["speed"], peer, row["test"], ".2f"),
                      cell(row["ratio"], peer, row["test"], ".2f")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def measure_memory(engines, context):
    memory = {}
    for engine in engines:
        if hasattr(engine, "memory"):
            try:
                memory[engine.name] = engine.memory(context)
            except EngineError as error:
                print(error, file=sys.stderr)
    return memory


def memory_table(memory, context):
    lines = [f"| at {context} tokens | cache MiB | compute MiB |",
             "|---|---:|---:|"]
    lines += [f"| {name} | {m['cache_mib']:.2f} | {m['compute_mib']:.2f} |"
              for name, m in memory.items()]
    return "\n".join(lines)


def main():
    options = parse_arguments()
    try:
        engines = make_engines(options)
    except (EngineError, OSError) as error:
        sys.exit(f"compare.py: {error}")
    tests = [Test("pp", n) for n in options.pp]
    tests += [Test("tg", options.tg, d) for d in options.depth]
    speeds, failures = measure(engines, tests, options)
    rows = compare(speeds, tests)
    print(f"tokens/s, {options.threads} threads: median of {options.rounds} "
          "rounds (slowest to fastest); ratio: mlad over the peer in the same "
          "round\n")
    print(table(rows, engines, failures))
    memory = {}
    if options.memory_context:
        memory = measure_memory(engines, options.memory_context)
        print("\n" + memory_table(memory, options.memory_context))
    if options.json:
        options.json.write_text(json.dumps(
            {"model": str(options.model), "threads": options.threads,
             "engines": {e.name: e.facts for e in engines}, "rows": rows,
             "speeds": speeds, "failures": failures, "memory": memory},
            indent=2, default=str), encoding="utf-8")
    sys.exit(1 if any(failures.values()) else 0)


if __name__ == "__main__":
    main()
