"""mlad plan for models and machines far larger than this one: DeepSeek-V3's and
Kimi-K2's headers, dual sockets with one and four nodes each."""

import json
import resource
import subprocess
import tempfile
import unittest

from daemon import BIN, run_mlad

DUAL_96 = "pack:2 [numa(memory=768GB)] core:96 pu:2"
DUAL_96_NPS4 = "pack:2 group:4 [numa(memory=192GB)] core:24 pu:2"
LARGE = ("v3", "kimi-k2")
# Largest over mean, less one.
BALANCE = 0.02


def processor_seconds():
    """Of all programs that were run from here."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class PlanTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.models = {}
        for preset in (*LARGE, "lite"):
            cls.models[preset] = f"{cls.folder.name}/{preset}.gguf"
            subprocess.run(
                [BIN / "mla-synth", "--preset", preset, "--type", "q4_k",
                 "--no-weights", "-o", cls.models[preset]],
                check=True, capture_output=True)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def plan(self, model, topology, *arguments):
        # Processor time, which is all it takes: on a busy machine the clock on
        # the wall counts what others do.
        before = processor_seconds()
        result = run_mlad(
            "plan", "--model", self.models[model], "--topology", topology,
            "--kv", "q8_kv", "--context", 65536, "--json", *arguments)
        self.seconds = processor_seconds() - before
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def assert_balanced(self, plan):
        totals = [n["weights_bytes"] + n["kv_bytes_capacity"] +
                  n["compute_bytes"] for n in plan["nodes"]]
        mean = sum(totals) / len(totals)
        self.assertLessEqual(max(totals) / mean - 1, BALANCE, totals)

    def test_v3_on_two_sockets(self):
        plan = self.plan("v3", DUAL_96)
        self.assertLess(self.seconds, 1)
        self.assertEqual(len(plan["nodes"]), 2)
        for node in plan["nodes"]:
            self.assertEqual(len(node["cpus"]), 96)
            self.assertEqual(node["heads"][1] - node["heads"][0], 64)
        # 671 billion weights of about 4.5 bits.
        self.assertGreater(plan["weights_bytes"], 370e9)
        self.assertLess(plan["weights_bytes"], 390e9)
        # 65,536 tokens, 61 layers, 584 bytes each.
        self.assertEqual(plan["kv_bytes_capacity"], 65536 * 61 * 584)
        self.assert_balanced(plan)

    def test_v2_lite_on_two_cores(self):
        plan = self.plan("lite", "pack:1 [numa(memory=32GB)] core:2 pu:1")
        # 27 layers: 985.5 MiB.
        self.assertEqual(plan["kv_bytes_capacity"], 65536 * 27 * 584)
        self.assertLessEqual(plan["compute_bytes"], 64 << 20)

    def test_every_placement_is_balanced(self):
        for model in LARGE:
            for topology in (DUAL_96, DUAL_96_NPS4):
                for experts in ("sliced", "whole", "auto"):
                    with self.subTest(f"{model}, {topology}, {experts}"):
                        plan = self.plan(model, topology,
                                         "--moe-placement", experts)
                        self.assert_balanced(plan)

    def test_replicas_take_their_room(self):
        bare = self.plan("v3", DUAL_96, "--moe-placement", "whole")
        more = self.plan("v3", DUAL_96, "--moe-placement", "whole",
                         "--replicate-experts", 4)
        self.assertEqual(more["replicated_experts"], 4)
        # 4 experts of 3 * 7168 * 2048 weights on 2 nodes in 58 layers.
        replicas = more["weights_bytes"] - bare["weights_bytes"]
        self.assertAlmostEqual(
            replicas / (4 * 2 * 58 * 3 * 7168 * 2048 * 4.5 / 8), 1, delta=0.1)

    def test_what_does_not_fit_is_refused_with_numbers(self):
        result = run_mlad(
            "plan", "--model", self.models["v3"], "--topology",
            "pack:2 [numa(memory=128GB)] core:96 pu:2", "--kv", "q8_kv")
        self.assertEqual(result.returncode, 1)
        for words in ("does not fit", "node 0", "node 1", "GiB"):
            self.assertIn(words, result.stderr)


if __name__ == "__main__":
    unittest.main()
