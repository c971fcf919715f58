"""A restart takes over weights and cache: at once, the same answers, or afresh."""

import json
import mmap
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

from daemon import BIN, DEMO_MODEL
from service_manager import ServiceManager

# What the service is asked for: of a model of V2-Lite's shape with 4 layers.
MAX_WARM_SECONDS = 1.0
MIN_SPEED_UP = 5.0


def flip_a_byte(descriptor, offset):
    # Files of huge pages can be mapped, not written.
    with mmap.mmap(descriptor, 0) as memory:
        memory[offset] ^= 1


TOUCH_PAGES = """
import mmap, sys, time
begin = time.monotonic()
with mmap.mmap(int(sys.argv[1]), 0) as memory:
    memory[::mmap.PAGESIZE]
print(time.monotonic() - begin)
"""


def first_touch_seconds(size):
    """What a new process takes to read a byte of every page that another has
    filled: about 0.1 s a GB where the hardware translates a guest's addresses,
    ten times that under a hypervisor that does so itself."""
    descriptor = os.memfd_create("touched")
    try:
        os.truncate(descriptor, size)
        with mmap.mmap(descriptor, size) as memory:
            for begin in range(0, size, mmap.PAGESIZE):
                memory[begin] = 1
        result = subprocess.run(
            [sys.executable, "-c", TOUCH_PAGES, str(descriptor)],
            pass_fds=[descriptor], check=True, capture_output=True, text=True)
        return float(result.stdout)
    finally:
        os.close(descriptor)


class WarmRestartTest(unittest.TestCase):
    def start_service(self, *arguments):
        service = ServiceManager(*arguments)
        self.addCleanup(service.close)
        self.assertGreater(service.start(), 0)
        self.assertNotIn("process before", service.log())
        return service

    def answer(self, service, tokens, count=24):
        return json.loads(service.ctl(
            "generate", "--tokens", ",".join(map(str, tokens)), "--greedy",
            "--ignore-eos", "-n", count, "--json"))

    def test_the_next_request_of_a_conversation_finds_its_prefix(self):
        for number in (signal.SIGKILL, signal.SIGTERM):
            with self.subTest(number):
                service = self.start_service("--nodes", "2",
                                             "--threads-per-node", "1")
                prompt = [0] + [200 + i % 700 for i in range(399)]
                first = self.answer(service, prompt)
                self.assertEqual(first["usage"].get("cached_tokens", 0), 0)
                turn = prompt + first["token_ids"] + [300, 301, 302]
                without_restart = self.answer(service, turn)
                cached = without_restart["usage"]["cached_tokens"]
                self.assertGreaterEqual(cached, 384)
                service.end(number)
                service.start()
                service.wait_for_log("those of the process before")
                again = self.answer(service, turn)
                self.assertEqual(again["token_ids"],
                                 without_restart["token_ids"])
                self.assertGreaterEqual(again["usage"]["cached_tokens"], cached)
                # What is new since then is kept as well, by the next process.
                service.end(signal.SIGKILL)
                service.start()
                self.assertEqual(self.answer(service, turn)["token_ids"],
                                 without_restart["token_ids"])

    def test_killed_amid_steps(self):
        service = self.start_service()
        prompts = [[0] + [(200 + 31 * k + i) % 900 + 100 for i in range(150)]
                   for k in range(3)]
        wanted = [self.answer(service, prompt)["token_ids"]
                  for prompt in prompts]
        for round_number in range(5):
            clients = [subprocess.Popen(
                [BIN / "mla-ctl", "--address", service.address, "generate",
                 f"Round {round_number} of {k}", "--ignore-eos", "-n", "800"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                for k in range(4)]
            for client in clients:
                client.stdout.read(1 + 20 * round_number)
            service.end(signal.SIGKILL)
            for client in clients:
                client.communicate(timeout=60)
            service.start()
            service.wait_for_log("those of the process before")
            for prompt, ids in zip(prompts, wanted):
                got = self.answer(service, prompt)
                self.assertEqual(got["token_ids"], ids)
                self.assertGreater(got["usage"]["cached_tokens"], 0)

    def assert_afresh(self, service, why):
        service.start()
        self.assertIn(why, service.log())
        self.assertNotIn("those of the process before", service.log())
        # And the process after that finds what this one has stored.
        names = [name for name, _ in service.store]
        self.assertEqual(len(names), len(set(names)))
        service.end(signal.SIGKILL)
        service.start()
        self.assertIn("those of the process before", service.log())

    def test_damaged_weights_are_loaded_afresh(self):
        service = self.start_service()
        ids = self.answer(service, [0, 686, 330])["token_ids"]
        service.end()
        weights, = [d for name, d in service.store if name == "weights/0"]
        flip_a_byte(weights, 10_000_000)
        self.assert_afresh(service, "checksum of the kept weights")
        self.assertEqual(self.answer(service, [0, 686, 330])["token_ids"], ids)

    def test_another_plan_or_model_is_loaded_afresh(self):
        service = self.start_service()
        service.end()
        service.arguments = ("--kv", "q8_0")
        self.assert_afresh(service, "the plan has changed")
        service.end()
        with tempfile.TemporaryDirectory() as folder:
            model = pathlib.Path(folder, "copy.gguf")
            model.write_bytes(DEMO_MODEL.read_bytes())
            service.arguments = ("--kv", "q8_0", "--model", model)
            self.assert_afresh(service, "the model has changed")
            service.end()

    def test_a_missing_or_foreign_descriptor_is_no_harm(self):
        service = self.start_service()
        service.end()
        lost, = [entry for entry in service.store if entry[0] == "weights/0"]
        service.store.remove(lost)
        os.close(lost[1])
        self.assert_afresh(service, "weights/0 is missing")
        service.end()
        index, = [i for i, (name, _) in enumerate(service.store)
                  if name == "cache/0"]
        os.close(service.store[index][1])
        service.store[index] = ("cache/0", os.memfd_create("small"))
        self.assert_afresh(service, "is not the sealed file")

    def test_can_be_switched_off(self):
        service = self.start_service("--keep-memory", "false")
        self.assertEqual(service.store, [])

    def test_serves_again_in_a_second(self):
        with tempfile.TemporaryDirectory() as folder:
            model = pathlib.Path(folder, "lite4.gguf")
            subprocess.run([BIN / "mla-synth", "--preset", "lite", "--layers",
                            "4", "--type", "iq4_nl", "-o", model], check=True,
                           capture_output=True)
            service = ServiceManager("--model", model)
            self.addCleanup(service.close)
            size = model.stat().st_size
            cold = service.start()
            warm = []
            for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
                service.end(number)
                warm.append(service.start())
                self.assertIn("those of the process before", service.log())
            service.end()
            print(f"\n{size / 1e9:.2f} GB: cold {cold:.2f} s, warm "
                  + ", ".join(f"{seconds:.2f}" for seconds in warm)
                  + f" s, {cold / min(warm):.1f} times sooner", file=sys.stderr)
            touched = first_touch_seconds(size)
            if touched > MAX_WARM_SECONDS / 2:
                # No process could: the hypervisor, not mlad, takes the time.
                print(f"touching as much kept memory takes {touched:.2f} s on "
                      "this machine", file=sys.stderr)
                self.assertLessEqual(min(warm), MAX_WARM_SECONDS + touched)
                return
            self.assertLessEqual(min(warm), MAX_WARM_SECONDS)
            self.assertGreaterEqual(cold / min(warm), MIN_SPEED_UP)


if __name__ == "__main__":
    unittest.main()
