"""mla-ctl against a daemon on the demo model."""

import concurrent.futures
import fcntl
import json
import math
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
import unittest

from daemon import BIN, Daemon, TOP

REFERENCE = json.loads(
    (TOP / "tests/golden/demo/reference.json").read_text(encoding="utf-8"))
PROMPTS = REFERENCE["files"]["tiny-mla-21m-q8_0.gguf"]["prompts"]


def ids_text(ids):
    return ",".join(map(str, ids))


class ClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon("--nodes", "2", "--threads-per-node", "1")
        cls.daemon.wait_until_serving()

    @classmethod
    def tearDownClass(cls):
        assert cls.daemon.stop() == 0

    def assert_refused(self, result, status, *words):
        self.assertEqual(result.returncode, status, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)
        self.assertEqual(self.daemon.ctl("health").returncode, 0)

    def test_greedy_ids_are_the_recorded_ones(self):
        for prompt in PROMPTS:
            expected = prompt["grouped"]["greedy64"]
            close = prompt["grouped"]["first_gap_under_0_01"]
            count = min(32, len(expected) if close is None else close)
            got = self.daemon.ctl_json(
                "generate", "--tokens", ids_text(prompt["ids"]), "--greedy",
                "--ignore-eos", "-n", count)
            self.assertEqual(got["token_ids"], expected[:count])

    def test_text_prompt_is_its_ids(self):
        prompt = PROMPTS[0]
        by_ids = self.daemon.ctl_json(
            "generate", "--tokens", ids_text(prompt["ids"]), "--greedy", "-n", 16)
        by_text = self.daemon.ctl_json(
            "generate", prompt["text"], "--greedy", "-n", 16)
        self.assertEqual(by_ids["token_ids"], by_text["token_ids"])
        self.assertEqual(by_text["finish_reason"], "max_tokens")
        self.assertEqual(by_text["usage"]["prompt_tokens"], len(prompt["ids"]))
        piped = self.daemon.ctl("generate", "--greedy", "-n", 16,
                                stdin=prompt["text"])
        self.assertEqual(piped.stdout, by_text["text"] + "\n")

    def test_a_seed_repeats_an_answer(self):
        def answer(*more):
            return self.daemon.ctl_json("generate", "In the beginning", "-n", 40,
                                        *more)
        first = answer()
        again = answer("--seed", first["seed"])
        self.assertEqual(first["token_ids"], again["token_ids"])
        others = [answer("--seed", s)["token_ids"] for s in (1, 2, 3)]
        self.assertNotEqual(others[0], others[1])

    def test_each_sampling_option_reaches_the_sampler(self):
        def ids(*options):
            return self.daemon.ctl_json(
                "generate", "In the beginning", "--ignore-eos", "-n", 48,
                "--seed", 5, *options)["token_ids"]
        greedy = ids("--greedy")
        drawn = ids()
        self.assertNotEqual(drawn, greedy)
        # Each of these leaves one token to draw from.
        for only in (["--temperature", 0], ["--top-k", 1], ["--top-p", 1e-6],
                     ["--min-p", 0.9999], ["--temperature", 1e-3]):
            with self.subTest(only):
                self.assertEqual(ids(*only), greedy)
        # Each of these changes what is drawn.
        for other in (["--temperature", 1.5], ["--top-k", 2],
                      ["--top-p", 0.3], ["--min-p", 0.5]):
            with self.subTest(other):
                self.assertNotEqual(ids(*other), drawn)
        repeats = len(greedy) - len(set(greedy))
        self.assertGreater(repeats, 10)
        for penalty in ("--repetition-penalty", "--frequency-penalty",
                        "--presence-penalty"):
            with self.subTest(penalty):
                other = ids("--greedy", penalty, 2)
                self.assertLess(len(other) - len(set(other)), repeats)

    def test_end_of_text_may_be_ignored(self):
        question = ["chat", "What is a whale?", "--greedy"]
        answer = self.daemon.ctl_json(*question)
        more = self.daemon.ctl_json(*question, "--ignore-eos", "-n", 200)
        self.assertEqual(more["finish_reason"], "max_tokens")
        self.assertEqual(len(more["token_ids"]), 200)
        self.assertEqual(more["token_ids"][:len(answer["token_ids"])],
                         answer["token_ids"])

    def test_the_context_ends_an_answer(self):
        answer = self.daemon.ctl_json("generate", "Call me", "--ignore-eos")
        self.assertEqual(answer["finish_reason"], "context_full")
        self.assertEqual(answer["usage"]["prompt_tokens"] +
                         answer["usage"]["completion_tokens"], 1024)

    def on_terminal(self, *arguments, **environment):
        """What a terminal shows of standard output and error."""
        terminal, other_end = pty.openpty()
        with subprocess.Popen(
                self.daemon.command(*arguments), stdin=subprocess.DEVNULL,
                stdout=other_end, stderr=other_end,
                env={**os.environ, "TERM": "xterm", **environment}) as process:
            os.close(other_end)
            shown = b""
            while True:
                try:
                    part = os.read(terminal, 65536)
                except OSError:  # the other end is closed
                    break
                if not part:
                    break
                shown += part
        os.close(terminal)
        self.assertEqual(process.returncode, 0, shown)
        return shown.decode()

    def test_colours_are_for_terminals_that_want_them(self):
        self.assertIn("\x1b[1m", self.on_terminal("stats"))
        self.assertNotIn("\x1b", self.on_terminal("stats", NO_COLOR="1"))
        self.assertNotIn("\x1b", self.on_terminal("stats", TERM="dumb"))
        self.assertNotIn("\x1b", self.daemon.ctl("stats").stdout)
        json.loads(self.on_terminal("stats", "--json"))

    def test_top_fills_the_terminal_whatever_its_size(self):
        terminal, other_end = pty.openpty()

        def resize(rows, columns):
            fcntl.ioctl(terminal, termios.TIOCSWINSZ,
                        struct.pack("HHHH", rows, columns, 0, 0))

        def last_screen(wanted):
            """The lines of the first complete screen that `wanted` likes."""
            shown = ""
            until = time.monotonic() + 20
            while time.monotonic() < until:
                shown += os.read(terminal, 65536).decode()
                for screen in re.findall(r"\x1b\[H(.*?)\x1b\[J", shown, re.S):
                    lines = screen.replace("\x1b[K", "").split("\r\n")
                    if wanted(lines):
                        return lines
            self.fail(f"never shown; at the end: {shown[-2000:]!r}")

        resize(24, 80)
        before = termios.tcgetattr(other_end)
        with subprocess.Popen(
                self.daemon.command("top", "--interval", "0.2"),
                stdin=other_end, stdout=other_end, stderr=other_end,
                env={**os.environ, "TERM": "xterm"}) as process:
            small = last_screen(lambda lines: any("KV cache" in l for l in lines))
            self.assertEqual(len(small), 24)
            self.assertLessEqual(max(map(len, small)), 80)
            self.assertIn("serving", "".join(small))
            resize(40, 130)
            large = last_screen(lambda lines: len(lines) == 40)
            self.assertLessEqual(max(map(len, large)), 130)
            os.write(terminal, b"q")
            self.assertEqual(process.wait(timeout=20), 0)
        self.assertEqual(termios.tcgetattr(other_end), before)
        self.assertTrue(os.read(terminal, 65536).endswith(b"\x1b[?1049l"))
        os.close(other_end)
        os.close(terminal)
        no_terminal = self.daemon.ctl("top")
        self.assertEqual(no_terminal.returncode, 2)
        self.assertIn("stats --watch", no_terminal.stderr)

    def test_a_long_prompt_shows_progress_on_a_terminal(self):
        text = "and the word of the Lord came unto me " * 90
        shown = self.on_terminal("generate", "-n", "1", "--greedy", text)
        self.assertRegex(shown, r"reading the prompt: \d+ of \d+ tokens")
        piped = self.daemon.ctl("generate", "-n", "1", "--greedy", text)
        self.assertEqual(piped.stderr, "")

    def test_neighbours_do_not_change_an_answer(self):
        def answer(prompt):
            return self.daemon.ctl_json(
                "generate", "--tokens", ids_text(prompt["ids"]), "--greedy",
                "-n", 48, "--logprobs", 2)
        alone = [answer(p) for p in PROMPTS]
        with concurrent.futures.ThreadPoolExecutor(len(PROMPTS)) as pool:
            together = list(pool.map(answer, PROMPTS))
        for one, other in zip(alone, together):
            self.assertEqual(one["token_ids"], other["token_ids"])
            self.assertEqual(one["logprobs"], other["logprobs"])

    def test_stop_string_over_tokens_is_not_part_of_the_text(self):
        free = self.daemon.ctl_json("generate", PROMPTS[0]["text"], "--greedy",
                                    "-n", 40)
        start = len(free["text"]) // 2
        stop = free["text"][start:start + 9]
        cut = self.daemon.ctl_json("generate", PROMPTS[0]["text"], "--greedy",
                                   "-n", 40, "--stop", stop)
        self.assertEqual(cut["finish_reason"], "stop_string")
        self.assertEqual(cut["text"], free["text"][:free["text"].index(stop)])

    def test_stop_token(self):
        free = self.daemon.ctl_json("generate", PROMPTS[0]["text"], "--greedy",
                                    "-n", 8)["token_ids"]
        cut = self.daemon.ctl_json("generate", PROMPTS[0]["text"], "--greedy",
                                   "-n", 8, "--stop-tokens", free[3])
        self.assertEqual(cut["finish_reason"], "stop_token")
        self.assertEqual(cut["token_ids"], free[:4])

    def test_chat_ends_by_itself(self):
        answer = self.daemon.ctl_json("chat", "What is a whale?", "--greedy")
        self.assertEqual(answer["finish_reason"], "eos")
        self.assertGreater(len(answer["text"]), 10)

    def test_logprobs_are_sorted_and_sum_below_one(self):
        answer = self.daemon.ctl_json("generate", "Call me", "--greedy", "-n", 5,
                                      "--logprobs", 20)
        for token in answer["logprobs"]:
            logprobs = [a["logprob"] for a in token["alternatives"]]
            self.assertEqual(len(logprobs), 20)
            self.assertEqual(logprobs, sorted(logprobs, reverse=True))
            self.assertLessEqual(sum(map(math.exp, logprobs)), 1 + 1e-5)
            self.assertEqual(token["logprob"], logprobs[0])

    def test_score_is_the_sum_of_its_tokens(self):
        text = "And God said, Let there be light: and there was light."
        score = self.daemon.ctl_json("score", text)
        logprobs = [s["logprob"] for s in score["scores"]]
        self.assertAlmostEqual(score["total_logprob"], sum(logprobs), places=3)
        self.assertAlmostEqual(score["perplexity"],
                               math.exp(-sum(logprobs) / len(logprobs)),
                               delta=0.01)

    def test_tokenize_and_back(self):
        text = "Ünïcode 漢字 🙂, tabs\tand\nlines  "
        ids = self.daemon.ctl_json("tokenize", text, "--no-bos")["token_ids"]
        back = self.daemon.ctl_json("detokenize", ids_text(ids))["text"]
        self.assertEqual(back, text)

    def test_stats_keep_their_contract(self):
        self.daemon.ctl_json("generate", "Call me", "-n", 4)
        stats = self.daemon.ctl_json("stats")
        self.assertEqual(len(stats["nodes"]), 2)
        for node in stats["nodes"]:
            for key in ("node", "cpus", "simulated", "weights_bytes",
                        "kv_bytes_used", "kv_bytes_capacity", "kv_pages_used",
                        "tokens_per_s", "local_bytes", "remote_bytes",
                        "misplaced_pages"):
                self.assertIn(key, node)
            self.assertTrue(node["simulated"])
            self.assertGreater(node["local_bytes"], 0)
            self.assertEqual(node["misplaced_pages"], 0)
        for key in ("kv_bytes_capacity", "weights_bytes"):
            self.assertEqual(stats[key], sum(n[key] for n in stats["nodes"]))
        self.assertGreater(stats["compute_bytes"], 0)

    def test_topology_and_tables_for_people(self):
        topology = self.daemon.ctl_json("topology")
        self.assertEqual([n["node"] for n in topology["nodes"]], [0, 1])
        self.assertEqual(topology["nodes"][-1]["head_end"], 8)
        self.assertIn("simulated", topology["notes"][0])
        table = self.daemon.ctl("stats").stdout
        self.assertIn("KV capacity", table)
        self.assertNotIn("\x1b", table)

    def test_requests_out_of_range(self):
        cases = [
            (["generate", "x", "--temperature", "101"], 2, ["temperature"]),
            (["generate", "x", "--top-p", "0"], 2, ["top_p"]),
            (["generate", "x", "--min-p", "1"], 2, ["min_p"]),
            (["generate", "x", "--logprobs", "21"], 2, ["logprobs"]),
            (["generate", "x", "-n", "0"], 2, ["max_tokens"]),
            (["generate", "--tokens", "99999"], 2, ["99999"]),
            (["generate", "--tokens", "-1"], 2, ["-1"]),
            (["detokenize", "5000"], 2, ["5000"]),
            (["generate", "x", "--frobnicate"], 2, ["frobnicate"]),
            (["frobnicate"], 2, []),
            (["score", "--tokens", "1"], 2, []),
        ]
        for arguments, status, words in cases:
            with self.subTest(arguments):
                self.assert_refused(self.daemon.ctl(*arguments), status, *words)
        self.assert_refused(self.daemon.ctl("generate", "--no-bos", stdin=""), 2)
        self.assert_refused(
            self.daemon.ctl("generate", "-n", 1, stdin="word " * 3000), 2,
            "1024")

    def test_a_prompt_that_is_not_utf8(self):
        result = subprocess.run(self.daemon.command("generate", "-n", "1"),
                                input=b"caf\xe9 \xff", capture_output=True,
                                timeout=60, check=False)
        self.assertEqual(result.returncode, 2)
        self.assertIn(b"UTF-8", result.stderr)

    def test_timeout_and_interrupt_stop_the_work(self):
        long = ["generate", "Call me", "--ignore-eos", "-n", "1000"]
        timeout = self.daemon.ctl("--timeout", "0.02", *long)
        self.assertEqual(timeout.returncode, 5, timeout.stderr)
        process = subprocess.Popen(self.daemon.command(*long),
                                   stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        self.assertIn(process.wait(timeout=30), (0, 130))
        process.stdout.close()
        deadline = time.monotonic() + 30
        while self.daemon.ctl_json("stats")["engine"]["running"] > 0:
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual(self.daemon.ctl_json("stats")["kv_bytes_used"], 0)

    def test_no_daemon(self):
        result = subprocess.run(
            [BIN / "mla-ctl", "--address", "unix:/nonexistent.sock", "health"],
            capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(result.returncode, 3)
        self.assertIn("/nonexistent.sock", result.stderr)

    def test_completion_scripts_parse(self):
        script = self.daemon.ctl("completion", "bash").stdout
        self.assertIn("--temperature", script)
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


if __name__ == "__main__":
    unittest.main()
