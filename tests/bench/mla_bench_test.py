"""mla-bench as scripts use it, on the demo model."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/e2e"))
from daemon import Daemon  # noqa: E402 (found by the line above)

BIN = pathlib.Path(os.environ.get("MLAD_BIN", TOP / "build/release/bin"))
DEMO_MODEL = TOP / "deploy/demo/tiny-mla-21m-q8_0.gguf"
KV_TYPES = ("f16", "bf16", "q8_0", "q8_kv", "q6_0")


def bench(*arguments, model=DEMO_MODEL, **environment):
    return subprocess.run(
        [BIN / "mla-bench", "--model", model, *map(str, arguments)],
        capture_output=True, text=True, check=False,
        env={**os.environ, **environment})


class MlaBenchTest(unittest.TestCase):
    def json(self, *arguments, **environment):
        result = bench(*arguments, "--json", **environment)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr, "")  # no bar without a terminal
        return json.loads(result.stdout)

    def test_contract(self):
        report = self.json(
            "--nodes", 2, "--threads-per-node", 1, "--kv", "q8_kv", "--pp",
            "64,128", "--tg", 8, "--depth", "0,96", "--reps", 3)
        rows = {row["test"]: row for row in report["rows"]}
        self.assertEqual(list(rows), ["pp64", "pp128", "tg8", "tg8@d96"])
        self.assertEqual((report["nodes"], report["workers"]), (2, 2))
        for limit in ("bandwidth_bytes_per_s", "int8_ops_per_s",
                      "f32_ops_per_s"):
            self.assertGreater(report[limit], 0)
        for name, row in rows.items():
            with self.subTest(name):
                self.assertEqual(len(row["repetitions"]), 3)
                self.assertLessEqual(row["tokens_per_s_min"],
                                     row["tokens_per_s"])
                self.assertLessEqual(row["tokens_per_s"],
                                     row["tokens_per_s_max"])
                self.assertGreater(row["bytes_per_token"], 0)
                self.assertGreater(row["percent_of_limit"], 0)
                self.assertLessEqual(row["barrier_percent"], 100)
                self.assertEqual("percent_of_bandwidth" in row,
                                 name.startswith("tg"))
        share = rows["tg8@d96"]
        self.assertAlmostEqual(
            share["percent_of_bandwidth"],
            100 * share["bytes_per_token"] * share["tokens_per_s"]
            / report["bandwidth_bytes_per_s"], places=6)
        # More latents are read at a greater depth.
        self.assertGreater(share["bytes_per_token"],
                           rows["tg8"]["bytes_per_token"])

    def test_batches_and_random_latents(self):
        report = self.json("--tg", 4, "--depth", "128,32", "--batch", "1,8,64",
                           "--fill", "random", "--reps", 2)
        rows = {row["test"]: row for row in report["rows"]}
        self.assertEqual(
            list(rows), ["tg4@d128", "tg4@d128 b8", "tg4@d128 b64",
                         "tg4@d32", "tg4@d32 b8", "tg4@d32 b64"])
        self.assertEqual(report["fill"], "random")
        # Sequences of a batch share what is read of the weights.
        self.assertLess(rows["tg4@d32 b64"]["bytes_per_token"],
                        rows["tg4@d32"]["bytes_per_token"])
        self.assertEqual(rows["tg4@d32 b64"]["batch"], 64)

    def test_the_same_bytes_are_read_whatever_fills_the_cache(self):
        arguments = ("--tg", 4, "--depth", 200, "--reps", 1,
                     "--threads-per-node", 1)
        prompt, random = (
            self.json(*arguments, "--fill", fill)["rows"][0]["bytes_per_token"]
            for fill in ("prompt", "random"))
        # Experts differ with the context.
        self.assertAlmostEqual(prompt / random, 1, delta=0.2)

    def test_prompts_behind_others(self):
        report = self.json("--pp", 32, "--pp-depth", "0,512", "--reps", 1)
        self.assertEqual([row["test"] for row in report["rows"]],
                         ["pp32", "pp32@d512"])

    def test_every_cache_type(self):
        for kv in KV_TYPES:
            with self.subTest(kv):
                report = self.json("--kv", kv, "--pp", 16, "--tg", 2, "--reps",
                                   1)
                self.assertEqual(report["kv"], kv)

    def test_context_is_the_caches_size(self):
        small, large = (
            self.json("--pp", 16, "--reps", 1, "--context", n, "--kv", "q8_kv")
            for n in (1024, 2048))
        self.assertEqual(large["kv_bytes_capacity"],
                         2 * small["kv_bytes_capacity"])
        self.assertEqual(large["compute_bytes"], small["compute_bytes"])

    def test_forced_kernels(self):
        self.assertEqual(self.json("--pp", 8, "--reps", 1,
                                   MLAD_ISA="scalar")["isa"], "scalar")

    def test_table_markdown_and_plot(self):
        with tempfile.TemporaryDirectory() as folder:
            plot = pathlib.Path(folder) / "speed.svg"
            result = bench("--pp", "16,32", "--tg", 2, "--depth", "0,64",
                           "--reps", 1, "--plot", plot, "--markdown")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("| tg2@d64 ", result.stdout)
            svg = xml.etree.ElementTree.parse(plot).getroot()
        self.assertEqual(svg.tag, "{http://www.w3.org/2000/svg}svg")
        lines = svg.findall(".//{http://www.w3.org/2000/svg}polyline")
        self.assertEqual([len(line.get("points").split()) for line in lines],
                         [2, 2])
        plain = bench("--pp", 16, "--tg", 2, "--reps", 1).stdout
        self.assertNotIn("|", plain)
        self.assertRegex(plain, r"(?m)^pp16 +\d+\.\d\d ")

    def assert_refused(self, words, *arguments, **options):
        result = bench(*arguments, **options)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn(words, result.stderr)
        self.assertEqual(result.stdout, "")

    def test_mistakes(self):
        self.assert_refused("--batch", "--batch", 65)
        self.assert_refused("--batch", "--batch", 0)
        self.assert_refused("--pp", "--pp", "x")
        self.assert_refused("--reps", "--reps", 0)
        self.assert_refused("prompt or random", "--fill", "zero")
        self.assert_refused("q9", "--kv", "q9")
        self.assert_refused("--markdown", "--json", "--markdown")
        self.assert_refused("smaller --depth", "--tg", 4, "--depth", 10**6)
        self.assert_refused("not there/plot", "--pp", 8, "--reps", 1, "--plot",
                            "/not there/plot.svg")

    def test_a_load_on_a_daemon(self):
        with Daemon("--nodes", 1, "--threads-per-node", 1) as daemon, \
                tempfile.TemporaryDirectory() as folder:
            plot, times = (pathlib.Path(folder) / name
                           for name in ("plot.svg", "times"))
            command = [BIN / "mla-bench", "serve", "--address", daemon.socket,
                       "--requests", "12", "--shared-prefix", "8"]
            result = subprocess.run(
                [*command, "--rate", "20,40", "--prompt-tokens",
                 "lognormal:20:0.5:60", "--output-tokens", "6", "--json",
                 "--plot", plot, "--times", times],
                capture_output=True, text=True, check=False)
            self.assertEqual(result.returncode, 0, result.stderr)
            rows = json.loads(result.stdout)["rows"]
            self.assertEqual([row["rate"] for row in rows], [20, 40])
            for row in rows:
                self.assertEqual((row["completed"], row["errors"]), (12, {}))
                self.assertEqual(row["output_tokens"], 72)
                self.assertEqual(row["first_token_ms"]["count"], 12)
                self.assertEqual(row["token_gap_ms"]["count"], 60)
                self.assertGreater(row["token_gap_ms"]["p50"], 0)
            xml.etree.ElementTree.fromstring(plot.read_text(encoding="utf-8"))
            lines = times.read_text(encoding="utf-8").splitlines()
            self.assertEqual(len(lines), 24)
            for line in map(json.loads, lines):
                self.assertEqual(len(line["tokens_s"]), 6)
                self.assertLess(line["sent_s"], line["tokens_s"][0])

            late = subprocess.run(
                [*command, "--at-once", "--timeout", "0.001", "--prompt-tokens",
                 "200", "--output-tokens", "400", "--json"],
                capture_output=True, text=True, check=False)
            self.assertEqual(late.returncode, 0, late.stderr)
            row = json.loads(late.stdout)["rows"][0]
            self.assertGreater(row["errors"]["DEADLINE_EXCEEDED"], 0)
            self.assertEqual(row["requests"], 12)

    def test_serve_refuses_mistakes(self):
        with Daemon() as daemon:
            for words, *arguments in (
                    ("--rate", "--rate", "0"),
                    ("neither a number", "--prompt-tokens", "many"),
                    ("cannot read the trace", "--trace", "/not/there"),
                    ("cannot write", "--plot", "/not there/plot.svg")):
                result = subprocess.run(
                    [BIN / "mla-bench", "serve", "--address", daemon.socket,
                     *arguments], capture_output=True, text=True, check=False)
                self.assertEqual(result.returncode, 2, arguments)
                self.assertIn(words, result.stderr)
        absent = subprocess.run(
            [BIN / "mla-bench", "serve", "--address", "unix:/not/there"],
            capture_output=True, text=True, check=False)
        self.assertEqual(absent.returncode, 1)

    def test_no_model(self):
        result = subprocess.run([BIN / "mla-bench", "--pp", "8"],
                                capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 2)
        self.assertIn("--model", result.stderr)
        self.assertEqual(bench(model="/not/there.gguf").returncode, 1)


if __name__ == "__main__":
    unittest.main()
