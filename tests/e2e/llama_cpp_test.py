"""Greedy continuations of the demo model beside llama.cpp's on the same file."""

import json
import math
import subprocess
import unittest

from daemon import DEMO_MODEL, Daemon, TOP

ORACLE = TOP / "tests/oracles/llama_cpp"
TOKENS = 24
PROMPTS = 6

# llama.cpp multiplies Q8_0 weights by activations rounded to 8 bits: 2^-8 of a
# block's peak, about 2^-8.8 rms of a typical number after the division by
# sqrt(3). Some 10 products a layer and 6 layers of independent errors give
# sqrt(60) 2^-8.8 = 1.7% of the logits' rms, which is about 3.1 for this model;
# the gap of two logits has sqrt(2) of that, and three standard deviations are
# allowed: 3 * 1.41 * 0.017 * 3.1 = 0.22.
LOGIT_BOUND = 0.22


def ids_text(ids):
    return ",".join(map(str, ids))


class LlamaCppTest(unittest.TestCase):
    def test_same_ids_until_logits_are_close(self):
        subprocess.run([TOP / "tests/oracles/install.sh", ORACLE,
                        "--omit=optional"], check=True)
        reference = json.loads((TOP / "tests/golden/demo/reference.json")
                               .read_text(encoding="utf-8"))
        prompts = [p["ids"] for p in
                   reference["files"]["tiny-mla-21m-q8_0.gguf"]["prompts"]]
        prompts = sorted(prompts, key=len)[-PROMPTS:]
        answers = json.loads(subprocess.run(
            ["node", ORACLE / "greedy.mjs", DEMO_MODEL, str(TOKENS)],
            input=json.dumps(prompts), capture_output=True, text=True,
            check=True).stdout)
        compared = 0
        with Daemon() as daemon:
            for prompt, theirs in zip(prompts, answers):
                with self.subTest(prompt):
                    compared += self.compare(daemon, prompt, theirs)
        # If all parted at once, the test would say nothing.
        self.assertGreater(compared, len(prompts) * TOKENS // 4)

    def compare(self, daemon, prompt, theirs):
        """Returns how many ids agree; fails when they part without cause."""
        ours = daemon.ctl_json(
            "generate", "--tokens", ids_text(prompt), "--greedy", "--ignore-eos",
            "-n", TOKENS, "--logprobs", 2)
        for step, (their_id, best, second) in enumerate(theirs):
            mine = ours["logprobs"][step]
            if mine["id"] == their_id:
                continue
            best_logprob, second_logprob = (
                a["logprob"] for a in mine["alternatives"])
            our_gap = best_logprob - second_logprob
            their_gap = math.log(best / second)
            print(f"parts at step {step}: our two best logits are {our_gap:.4f} "
                  f"apart, theirs {their_gap:.4f}")
            self.assertLess(our_gap, LOGIT_BOUND)
            self.assertLess(their_gap, LOGIT_BOUND)
            self.assertEqual(mine["alternatives"][1]["id"], their_id)
            return step
        return len(theirs)


if __name__ == "__main__":
    unittest.main()
