#!/usr/bin/env python3
"""Measures what mlad promises of serving many requests, on one model file:

  streams  tokens per second of 8 and 16 streams together, against one's
  gap      times between tokens of running streams while a long prompt is read
  prefix   time to the first token of the second request with the same prompt

With --node also how fast npm's prebuilt llama.cpp decodes as many streams in
parallel, in turns with mlad, and the ratio of the two.

Exit status 1 when a target is missed. Needs a quiet machine, Debian's
python3-grpcio and python3-protobuf.

  build/release/bin/mla-synth --preset lite --layers 4 --type iq4_nl -o lite4.gguf
  bench/serving_targets.py --model lite4.gguf --node
"""
import argparse
import asyncio
import json
import pathlib
import random
import statistics
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TOP / "tests/e2e"), str(TOP / "bench/peers")]

from daemon import Daemon  # noqa: E402
from engines import NodeLlamaCpp, Test  # noqa: E402
from load_test import Service  # noqa: E402

# Streams, and how many times faster than one they are to be.
SPEED_UPS = {8: 3.0, 16: 4.0}
PREFIX_SHARE = 0.05
# Of a stream, in tokens.
STREAM_PROMPT = 32


class Stream:
    """The ids of one answer, and when each came."""

    def __init__(self):
        self.began = time.monotonic()
        self.times = []
        self.ids = []

    def first(self):
        return self.times[0] - self.began


async def follow(service, tokens, count, stream=None):
    stream = stream or Stream()
    request = service.request(tokens, max_tokens=count)
    async for message in service.methods[0](request):
        if message.HasField("token"):
            stream.times.append(time.monotonic())
            stream.ids.append(message.token.id)
    return stream


class Targets:
    def __init__(self, service, arguments):
        self.service = service
        self.arguments = arguments
        self.random = random.Random(7)
        self.rows = []

    def prompt(self, tokens):
        return [self.random.randrange(1000, 30000) for _ in range(tokens)]

    def add(self, test, value, unit, target, kept):
        self.rows.append({"test": test, "value": value, "unit": unit,
                          "target": target, "kept": kept})

    async def tokens_per_s(self, streams):
        """Of all together, from when the last one has begun to when the first
        one ends."""
        answers = await asyncio.gather(*(
            follow(self.service, self.prompt(STREAM_PROMPT), self.arguments.tokens)
            for _ in range(streams)))
        begin = max(answer.times[0] for answer in answers)
        end = min(answer.times[-1] for answer in answers)
        count = sum(begin < t <= end for answer in answers
                    for t in answer.times)
        return count / (end - begin)

    async def measure_streams(self):
        ours = {streams: [] for streams in (1, *SPEED_UPS)}
        theirs = {streams: [] for streams in ours}
        peer = self.arguments.node and NodeLlamaCpp(
            self.arguments.model.resolve(), "F16", self.arguments.threads)
        tests = [Test("streams", self.arguments.node_tokens, STREAM_PROMPT, streams)
                 for streams in theirs]
        for _ in range(self.arguments.rounds):
            for streams, speeds in ours.items():
                speeds.append(await self.tokens_per_s(streams))
            if peer:
                results = peer.run(tests, reps=1)
                for test in tests:
                    theirs[test.streams] += results[test.name]
        for streams, target in SPEED_UPS.items():
            self.add_ratio(f"{streams} streams", ours[streams], ours[1],
                           "times one", target)
        if peer:
            for streams in theirs:
                self.add_ratio(f"{streams} streams in {peer.name}",
                               theirs[streams], theirs[1], "times one")
                self.add_ratio(f"mlad's {streams} streams", ours[streams],
                               theirs[streams], "times the peer's")

    def add_ratio(self, test, speeds, others, unit, target=None):
        """The median of the rounds' ratios; the target is a lower bound, and
        without one there is nothing to keep."""
        ratios = [a / b for a, b in zip(speeds, others)]
        value = statistics.median(ratios)
        self.add(test, value,
                 f"{unit} ({min(ratios):.2f} to {max(ratios):.2f}; "
                 f"{statistics.median(speeds):.1f} tokens/s)",
                 f">= {target}" if target else "",
                 None if target is None else value >= target)

    async def measure_gap(self):
        running = [Stream() for _ in range(4)]
        tasks = [asyncio.create_task(
            follow(self.service, self.prompt(STREAM_PROMPT), 1 << 20, stream))
            for stream in running]
        while min(len(stream.times) for stream in running) < 8:
            await asyncio.sleep(0.01)
        begin = time.monotonic()
        await follow(self.service, self.prompt(self.arguments.prompt), 1)
        end = time.monotonic()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        gaps = sorted(
            b - a for stream in running
            for a, b in zip(stream.times, stream.times[1:])
            if begin < b and a < end)
        p99 = 1000 * gaps[min(len(gaps) * 99 // 100, len(gaps) - 1)]
        bound = self.arguments.max_token_gap_ms
        self.add(f"p99 gap beside a prompt of {self.arguments.prompt}", p99,
                 "ms", f"<= {bound}", p99 <= bound)

    async def measure_prefix(self):
        prompt = self.prompt(self.arguments.prefix + 1)
        first = await follow(self.service, prompt, 32)
        second = await follow(self.service, prompt, 32)
        share = second.first() / first.first()
        self.add(f"first token with {self.arguments.prefix} known", 100 * share,
                 "% of the first time", f"<= {100 * PREFIX_SHARE}",
                 share <= PREFIX_SHARE)
        same = first.ids == second.ids
        self.add("its ids", int(same), "the same", "1", same)


async def measure(address, arguments):
    service = Service(address)
    targets = Targets(service, arguments)
    await targets.measure_prefix()
    await targets.measure_gap()
    await targets.measure_streams()
    await service.close()
    return targets.rows


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--kv", default="q8_kv")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--max-token-gap-ms", type=float, default=200)
    parser.add_argument("--prompt", type=int, default=8192)
    parser.add_argument("--prefix", type=int, default=4096)
    parser.add_argument("--tokens", type=int, default=128,
                        help="of each stream's answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--node", action="store_true",
                        help="also npm's prebuilt llama.cpp")
    parser.add_argument("--node-tokens", type=int, default=32,
                        help="of each of its streams; fewer, as it is slower")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with Daemon("--model", arguments.model, "--kv", arguments.kv,
                "--nodes", 1, "--threads-per-node", arguments.threads,
                "--max-token-gap-ms", arguments.max_token_gap_ms,
                "--cache-tokens", 32768) as daemon:
        rows = asyncio.run(measure(daemon.tcp_address(), arguments))
    if arguments.json:
        print(json.dumps(rows))
    else:
        print("| | | | target | kept |\n|---|---:|---|---|---|")
        kept = {True: "yes", False: "NO", None: ""}
        for row in rows:
            print(f"| {row['test']} | {row['value']:.2f} | {row['unit']} | "
                  f"{row['target']} | {kept[row['kept']]} |")
    return 1 if any(row["kept"] is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
