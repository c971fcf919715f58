"""What the log says of requests, and what it never says."""

import json
import re
import unittest

import grpc

from daemon import Daemon
from load_test import Service

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SECRETS = ("xyzzyprompt", "plughtoken")


class LogTest(unittest.IsolatedAsyncioTestCase):
    async def test_requests_are_told_by_their_ids(self):
        with Daemon("--log-level", "info") as daemon:
            service = Service(daemon.tcp_address())
            call = service.methods[0](
                service.request([5, 6, 7], max_tokens=2),
                metadata=(("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01"),
                          ("x-request-id", "order-66")))
            async for _ in call:
                pass
            self.assertIn(("x-request-id", "order-66"),
                          list(await call.initial_metadata()))
            refused = service.methods[0](
                service.request([5, 1 << 30], max_tokens=2),
                metadata=(("x-request-id", "not one: has spaces"),))
            with self.assertRaises(grpc.aio.AioRpcError):
                async for _ in refused:
                    pass
            chosen = dict(list(await refused.initial_metadata()) or
                          list(await refused.trailing_metadata()))
            await service.close()
            daemon.ctl("stats")
            log = daemon.log()
        self.assertRegex(
            log, r"mlad\.v1\.Inference/Generate from \S+: OK after [0-9.]+ s, "
                 rf"request order-66, trace {TRACE}\n")
        failed = re.search(r"Generate from \S+: INVALID_ARGUMENT after [0-9.]+ "
                           r"s, request ([0-9a-f]{16})\n", log)
        self.assertIsNotNone(failed, log)
        self.assertEqual(chosen.get("x-request-id", failed[1]), failed[1])
        self.assertNotIn("GetStats", log)

    async def test_texts_and_tokens_are_never_logged(self):
        with Daemon("--log-level", "debug") as daemon:
            answer = daemon.ctl_json("generate", f"{SECRETS[0]} said the king",
                                     "-n", 24, "--greedy")
            daemon.ctl("score", SECRETS[0])
            daemon.ctl("tokenize", SECRETS[0])
            daemon.ctl("generate", SECRETS[0], "--top-p", "7")
            daemon.ctl("generate", SECRETS[0], "--grammar", "/dev/null")
            service = Service(daemon.tcp_address())
            for value in (f"Bearer {SECRETS[1]}", SECRETS[1]):
                call = service.methods[0](
                    service.request([5, 6, 7], max_tokens=2),
                    metadata=(("authorization", value),))
                try:
                    async for _ in call:
                        pass
                except grpc.aio.AioRpcError:
                    pass
            await service.close()
            daemon.ctl("stats")
            log = daemon.log()
        self.assertIn("GetStats", log)
        for secret in (*SECRETS, "said the king"):
            self.assertNotIn(secret, log)
        words = re.findall(r"[A-Za-z]{5,}", answer["text"])
        self.assertTrue(words, json.dumps(answer))
        longest = " ".join(answer["text"].split()[:4])
        self.assertNotIn(longest, log)


if __name__ == "__main__":
    unittest.main()
