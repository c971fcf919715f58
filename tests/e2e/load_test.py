#!/usr/bin/env python3
"""Many streams at once: cancelled, late, unread and complete ones; and more
sequences than the cache holds.

    load_test.py [--seconds 120] [--streams 500] [--seed N] [--model FILE]

Needs Debian's python3-grpcio and python3-protobuf.
"""

import argparse
import asyncio
import collections
import dataclasses
import random
import statistics
import sys
import time
import unittest

import grpc
import grpc.aio

from daemon import DEMO_MODEL, Daemon
from foreign_client_test import ReflectedServer, message_class

SERVICE = "mlad.v1.Inference"
CHANNELS = 8
OPTIONS = argparse.Namespace(seconds=8.0, streams=500, seed=None,
                             model=DEMO_MODEL)

# How a stream ends, and how often.
BEHAVIOURS = {"cancel": 50, "read": 36, "deadline": 11, "never reads": 3}
# Streams that are opened first, and read by nobody until the end.
UNREAD = 8

WORDS = ("the and of that to in unto he shall for his a Lord they be is him "
         "not them it with all thou was God which my me said but").split()


@dataclasses.dataclass
class Kind:
    """A request, and what it answers when it is alone."""
    request: object
    text: str = ""


class Service:
    """Generate of one daemon, over some connections."""

    def __init__(self, address):
        with grpc.insecure_channel(address) as channel:
            server = ReflectedServer(channel)
            server.learn(file_containing_symbol=SERVICE)
            self.request_class = message_class(
                server.pool, "mlad.v1.GenerateRequest")
            self.response_class = message_class(
                server.pool, "mlad.v1.GenerateResponse")
        # A connection each, which takes little that nobody has read.
        own = [("grpc.use_local_subchannel_pool", 1),
               ("grpc.http2.bdp_probe", 0)]
        self.channels = [grpc.aio.insecure_channel(address, options=own)
                         for _ in range(CHANNELS)]
        self.methods = [
            channel.unary_stream(
                f"/{SERVICE}/Generate",
                request_serializer=self.request_class.SerializeToString,
                response_deserializer=self.response_class.FromString)
            for channel in self.channels]

    def request(self, tokens, **options):
        sampling = options.pop("sampling", {"greedy": True})
        return self.request_class(
            tokens={"ids": tokens},
            options={"ignore_eos": True, "sampling": sampling, **options})

    async def read(self, request, channel=0, timeout=None):
        """The whole text. Errors as grpc raises them."""
        text = ""
        async for message in self.methods[channel](request, timeout=timeout):
            text += message.token.text + message.finish.text
        return text

    async def close(self):
        for channel in self.channels:
            await channel.close()


def rss_kib(process):
    with open(f"/proc/{process.pid}/status", encoding="utf-8") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise AssertionError("no VmRSS")


def words(daemon, rng, count):
    """The ids of about `count` words."""
    text = " ".join(rng.choice(WORDS) for _ in range(count))
    return daemon.ctl_json("tokenize", "--no-bos", text)["token_ids"]


def make_kinds(daemon, service, rng, count=24):
    """Long and short prompts; half of them begin with the same text."""
    shared = words(daemon, rng, 300)
    kinds = []
    for i in range(count):
        tokens = words(daemon, rng, rng.choice((5, 30, 120, 500)))
        options = {"max_tokens": rng.randint(5, 90)}
        if i % 2 == 0:
            # Prompts of several lengths are read in several forms; without this
            # their pages are taken over nevertheless.
            tokens = shared + tokens
            options["exact_reuse"] = True
        if i % 3 == 0:
            options["sampling"] = {"temperature": 1.0, "seed": 1 + i}
        if i % 4 == 0:
            options["priority"] = i % 7 - 3
        if i % 5 == 0:
            options["logprobs"] = 3
        kinds.append(Kind(service.request(tokens, **options)))
    return kinds


class Load:
    """Streams that come and go until a time, each as it likes."""

    def __init__(self, service, kinds, rng):
        self.service = service
        self.kinds = kinds
        self.rng = rng
        self.unread = service.request([5, 6, 7], max_tokens=4000, logprobs=20)
        self.end = 0
        self.outcomes = collections.Counter()
        self.wrong = []

    async def run(self, streams, seconds):
        self.end = time.monotonic() + seconds
        await asyncio.gather(*(self.one_after_the_other(i)
                               for i in range(streams - UNREAD)))

    async def one_after_the_other(self, number):
        while time.monotonic() < self.end:
            behaviour = self.rng.choices(
                list(BEHAVIOURS), list(BEHAVIOURS.values()))[0]
            run = {"cancel": self.cancel, "read": self.read,
                   "deadline": self.deadline, "never reads": self.never_read}
            outcome = await run[behaviour](number % CHANNELS)
            self.outcomes[f"{behaviour}: {outcome}"] += 1

    async def read(self, channel, timeout=None):
        kind = self.rng.choice(self.kinds)
        try:
            text = await self.service.read(kind.request, channel, timeout)
        except grpc.aio.AioRpcError as error:
            return error.code().name
        if text != kind.text:
            self.wrong.append((kind, text))
            return "wrong"
        return "right"

    async def deadline(self, channel):
        return await self.read(channel, self.rng.uniform(0.01, 4))

    async def cancel(self, channel):
        kind = self.rng.choice(self.kinds)
        call = self.service.methods[channel](kind.request)
        if self.rng.random() < 0.3:
            await asyncio.sleep(self.rng.uniform(0, 0.5))
        else:
            for _ in range(self.rng.randint(1, 30)):
                if await call.read() is grpc.aio.EOF:
                    return "complete"
        call.cancel()
        return "cancelled"

    async def never_read(self, channel):
        call = self.service.methods[channel](self.unread)
        await call.read()
        left = self.end - time.monotonic()
        await asyncio.sleep(self.rng.uniform(0.3, 1) * max(left, 0))
        call.cancel()
        return "cancelled"


class Watch:
    """What the daemon says, and takes, every half second."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.rss = []
        self.most = collections.Counter()

    async def run(self):
        while True:
            stats = await asyncio.to_thread(self.daemon.ctl_json, "stats")
            engine = stats["engine"]
            for key in ("running", "queued", "paused", "preemptions"):
                self.most[key] = max(self.most[key], engine[key])
            in_all = engine["running"] + engine["queued"] + engine["paused"]
            self.most["in all"] = max(self.most["in all"], in_all)
            self.rss.append(rss_kib(self.daemon.process))
            await asyncio.sleep(0.5)


class LoadTest(unittest.TestCase):
    def assert_nothing_is_held(self, daemon):
        deadline = time.monotonic() + 10
        while True:
            stats = daemon.ctl_json("stats")
            held = [stats["engine"][key]
                    for key in ("running", "queued", "paused", "clients")]
            held += [node["kv_pages_used"] for node in stats["nodes"]]
            if not any(held) or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        self.assertFalse(any(held), stats)

    def test_five_hundred_streams(self):
        seed = OPTIONS.seed or random.randrange(1 << 32)
        print(f"seed {seed}", file=sys.stderr)
        with Daemon("--model", OPTIONS.model, "--max-queued", "1000",
                    "--max-sequences", "64", "--cache-tokens", "6144") as daemon:
            load, watch = asyncio.run(
                self.run_load(daemon, random.Random(seed)))
            self.assert_nothing_is_held(daemon)
            self.assertEqual(daemon.stop(), 0)
        print(dict(load.outcomes), dict(watch.most),
              f"RSS in KiB {watch.rss[::max(1, len(watch.rss) // 12)]}", file=sys.stderr)
        self.assertEqual(load.wrong, [])
        expected = {"read: right", "cancel: cancelled", "cancel: complete",
                    "deadline: right", "deadline: DEADLINE_EXCEEDED",
                    "never reads: cancelled"}
        self.assertLessEqual(set(load.outcomes), expected)
        self.assertGreater(load.outcomes["read: right"], OPTIONS.streams / 8)
        self.assertGreater(load.outcomes["deadline: DEADLINE_EXCEEDED"], 0)
        self.assertGreater(watch.most["in all"], OPTIONS.streams * 0.8)
        self.assertGreater(watch.most["preemptions"], 0)
        # Flat behind the first third, in which buffers find their size.
        third = len(watch.rss) // 3
        settled = statistics.median(watch.rss[third:2 * third])
        self.assertLess(statistics.median(watch.rss[-third:]) - settled,
                        16 << 10, watch.rss)

    async def run_load(self, daemon, rng):
        service = Service(daemon.tcp_address())
        kinds = make_kinds(daemon, service, rng)
        for kind in kinds:
            kind.text = await service.read(kind.request)
        load = Load(service, kinds, rng)
        watch = Watch(daemon)
        watching = asyncio.create_task(watch.run())
        unread = []
        for i in range(UNREAD):
            unread.append(service.methods[i % CHANNELS](load.unread))
            await unread[-1].read()
        while watch.most["paused"] < UNREAD:
            await asyncio.sleep(0.1)
        await load.run(OPTIONS.streams, OPTIONS.seconds)
        for call in unread:
            call.cancel()
        watching.cancel()
        await service.close()
        return load, watch

    def test_more_sequences_than_the_cache_holds(self):
        # 64 sequences of 5 pages each; the cache holds half of them, but there
        # is room for all prompts.
        with Daemon("--model", OPTIONS.model, "--max-sequences", "64",
                    "--context", "512",
                    "--cache-tokens", str(64 * 5 * 32 // 2)) as daemon:
            asyncio.run(self.exhaust_pages(daemon))
            stats = daemon.ctl_json("stats")
            self.assertGreater(stats["engine"]["preemptions"], 0)
            self.assert_nothing_is_held(daemon)

    async def exhaust_pages(self, daemon):
        service = Service(daemon.tcp_address())
        rng = random.Random(1)
        kinds = []
        for i in range(64):
            sampling = ({"greedy": True} if i % 2 else
                        {"temperature": 1.0, "seed": 1 + i})
            tokens = words(daemon, rng, 40)[:30]
            self.assertEqual(len(tokens), 30)
            kinds.append(Kind(service.request(
                tokens, max_tokens=110, sampling=sampling)))
        for kind in kinds:
            kind.text = await service.read(kind.request)
        texts = await asyncio.gather(*(
            service.read(kind.request, i % CHANNELS)
            for i, kind in enumerate(kinds)))
        for kind, text in zip(kinds, texts):
            self.assertEqual(text, kind.text)
        await service.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=OPTIONS.seconds)
    parser.add_argument("--streams", type=int, default=OPTIONS.streams)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--model", default=OPTIONS.model)
    OPTIONS, rest = parser.parse_known_args()
    unittest.main(argv=sys.argv[:1] + rest)
