"""bench/peers/compare.py: what it makes of peers' outputs, and a run beside the
real llama.cpp."""

import json
import os
import pathlib
import stat
import subprocess
import sys
import tempfile
import textwrap
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("MLAD_BIN", TOP / "build/release/bin"))
DEMO_MODEL = TOP / "deploy/demo/tiny-mla-21m-q8_0.gguf"
sys.path.insert(0, str(TOP / "bench/peers"))

import compare  # noqa: E402
from engines import EngineError, LlamaBench, SweepBench, Test  # noqa: E402

# A llama-bench as ik_llama.cpp has it: -gp DEPTH,TOKENS, and in its JSON the
# depth is n_prompt. Logs come before the JSON.
IK_BENCH = """
    import json, sys
    a = sys.argv[1:]
    if a == ["--help"]:
        print("  -gp <pp,tg>   (default: )")
        sys.exit()
    value = lambda name, default: a[a.index(name) + 1] if name in a else default
    rows = []
    row = lambda pp, tg: rows.append(
        {"build_commit": "abc", "n_prompt": pp, "n_gen": tg,
         "samples_ts": [100.0 + pp, 102.0 + pp][:int(value("-r", 5))]})
    if int(value("-p", 512)): row(int(value("-p", 512)), 0)
    if int(value("-n", 128)): row(0, int(value("-n", 128)))
    if "-gp" in a: row(*map(int, value("-gp", "").split(",")))
    print("loading")
    json.dump(rows, sys.stdout, indent=2)
"""
LLAMA_BENCH = """
    import json, sys
    a = sys.argv[1:]
    if a == ["--help"]:
        print("  -d, --n-depth <n>   (default: 0)")
        sys.exit()
    value = lambda name: int(a[a.index(name) + 1]) if name in a else 0
    json.dump([{"n_prompt": value("-p"), "n_gen": value("-n"),
                "n_depth": value("-d"), "samples_ts": [7.0]}], sys.stdout)
"""
SWEEP_BENCH = """
    import json, sys
    a = sys.argv[1:]
    value = lambda name: int(a[a.index(name) + 1])
    print("llama_init: KV self size  =  985.50 MiB, c^KV (q8_KV):  985.50 MiB,"
          " kv^T: not used", file=sys.stderr)
    print("llama_init:        CPU compute buffer size =   204.00 MiB",
          file=sys.stderr)
    if "jsonl" not in a:
        print("|    PP |     TG |   N_KV |", file=sys.stderr, flush=True)
        import time
        time.sleep(600)
    for n_kv in range(0, value("-c"), value("-ub")):
        print(json.dumps({"pp": value("-ub"), "tg": value("-n"), "n_kv": n_kv,
                          "speed_pp": 500.0 - n_kv / 100,
                          "speed_tg": 50.0 - n_kv / 1000}), file=sys.stderr)
"""
BROKEN_BENCH = """
    import sys
    if sys.argv[1:] == ["--help"]:
        print("-gp")
        sys.exit()
    print("GGML_ASSERT", file=sys.stderr)
    sys.exit(134)
"""


class PeersTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def program(self, text, name="llama-bench"):
        path = pathlib.Path(self.folder.name) / name
        path.write_text(f"#!{sys.executable}\n" + textwrap.dedent(text),
                        encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def test_ik_llama_bench(self):
        engine = LlamaBench(self.program(IK_BENCH), DEMO_MODEL, 2, ["-fa", "1"])
        self.assertEqual(engine.name, "ik_llama.cpp")
        tests = [Test("pp", 512), Test("tg", 64), Test("tg", 64, 4096)]
        self.assertEqual(engine.run(tests, 2),
                         {"pp512": [612, 614], "tg64": [100, 102],
                          "tg64@d4096": [4196, 4198]})
        self.assertEqual(engine.facts["build"], "abc")

    def test_llama_bench(self):
        engine = LlamaBench(self.program(LLAMA_BENCH), DEMO_MODEL, 2, [])
        self.assertEqual(engine.name, "llama.cpp")
        tests = [Test("pp", 512, 1024), Test("tg", 64, 4096)]
        self.assertEqual(engine.run(tests, 1),
                         {"pp512@d1024": [7], "tg64@d4096": [7]})

    def test_sweep_bench(self):
        engine = SweepBench(self.program(SWEEP_BENCH), DEMO_MODEL, 2, [], 512)
        tests = [Test("pp", 512), Test("pp", 4096), Test("tg", 64, 1024),
                 Test("tg", 64, 100)]
        self.assertEqual(engine.run(tests, 2), {"pp512": [500, 500],
                                                "tg64@d1024": [48.976] * 2})
        self.assertEqual(engine.memory(65536),
                         {"cache_mib": 985.5, "compute_mib": 204})

    def test_what_fails_says_why(self):
        with self.assertRaisesRegex(EngineError, "cannot be started"):
            LlamaBench(pathlib.Path("/not/there"), DEMO_MODEL, 2, [])
        with self.assertRaisesRegex(EngineError, "neither -gp nor --n-depth"):
            LlamaBench(self.program("print('hello')"), DEMO_MODEL, 2, [])
        engine = LlamaBench(self.program(BROKEN_BENCH), DEMO_MODEL, 2, [])
        with self.assertRaisesRegex(EngineError, "(?s)status 134.*GGML_ASSERT"):
            engine.run([Test("pp", 512)], 1)

    def test_ratios_are_of_the_same_round(self):
        rows = compare.compare(
            {"mlad": {"pp512": [200, 100, 50]}, "peer": {"pp512": [100, 40, 50]}},
            [Test("pp", 512)])
        self.assertEqual(rows[0]["ratio"]["peer"],
                         {"median": 2, "min": 1, "max": 2.5})

    def compare(self, *arguments):
        return subprocess.run(
            [sys.executable, TOP / "bench/peers/compare.py", "--model",
             DEMO_MODEL, "--mla-bench", BIN / "mla-bench", "--threads", "1",
             "--pp", "32", "--tg", "4", "--depth", "16", *map(str, arguments)],
            capture_output=True, text=True, check=False)

    def test_beside_llama_cpp(self):
        report_path = pathlib.Path(self.folder.name) / "report.json"
        result = self.compare(
            "--node", "--llama-bench", self.program(IK_BENCH), "--rounds", 2,
            "--json", report_path, "--memory-context", 1024)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("| test | mlad | llama.cpp (node-llama-cpp) | ratio | "
                      "ik_llama.cpp | ratio |", result.stdout)
        report = json.loads(report_path.read_text(encoding="utf-8"))
        self.assertEqual([row["test"] for row in report["rows"]],
                         ["pp32", "tg4@d16"])
        for row in report["rows"]:
            self.assertEqual(set(row["ratio"]),
                             {"llama.cpp (node-llama-cpp)", "ik_llama.cpp"})
            for ratio in row["ratio"].values():
                self.assertGreater(ratio["min"], 0)
        for speeds in report["speeds"].values():
            self.assertEqual([len(s) for s in speeds.values()], [2, 2])
        # 6 layers or so of latents, 1,024 tokens.
        self.assertGreater(report["memory"]["mlad"]["cache_mib"], 0.1)

    def test_a_failing_peer_leaves_the_others(self):
        result = self.compare("--llama-bench", self.program(BROKEN_BENCH),
                              "--together", "--rounds", 1)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stdout, r"\| pp32 \| \d.* \| failed \| failed")
        self.assertIn("GGML_ASSERT", result.stderr)


if __name__ == "__main__":
    unittest.main()
