#!/usr/bin/env python3
"""mlad on real NUMA nodes: those of a virtual machine, under software emulation.

  guest_test.py [TwoSockets|FourNodes]

Boots the machine once per class, lets inside.py look at the daemon there, and
compares what it saw with the plan and with the same request on this machine.
"""

import functools
import json
import os
import pathlib
import re
import sys
import unittest

from machine import FOLDER, Guest, GuestNode

sys.path.insert(0, str(FOLDER.parent / "e2e"))
from daemon import BIN, DEMO_MODEL, Daemon  # pylint: disable=C0413

TIMEOUT_S = float(os.environ.get("MLAD_GUEST_TIMEOUT_S", "420"))
PAGE_BYTES = 4096

# Four pages of the cache, so that each of four nodes holds latents.
GENERATE = ["generate", "--tokens", ",".join(map(str, range(100, 200))),
            "--greedy", "--ignore-eos", "-n", "4", "--logprobs", "1"]


def answer_of_this_machine():
    with Daemon(MLAD_ISA="avx2") as daemon:
        return daemon.ctl_json(*GENERATE)


def for_each_observation(test):
    """Runs a test once for each time that the guest had a daemon."""
    @functools.wraps(test)
    def run(self):
        for name in self.observations:
            with self.subTest(name):
                test(self, self.facts[name], self.observations[name])
    return run


class GuestCase:
    """Facts of one guest, see inside.py; the rest is judgement."""
    scenario = ""
    nodes = []  # those with CPUs first: so does the kernel number them
    observations = {}  # name: the kernel's node of each of the daemon's nodes

    @classmethod
    def setUpClass(cls):
        cls.expected = answer_of_this_machine()
        guest = Guest(cls.nodes)
        try:
            guest.run(["/usr/bin/python3", "-I", "-S", "-B",
                       FOLDER / "inside.py", cls.scenario, BIN, DEMO_MODEL,
                       *GENERATE], TIMEOUT_S)
            cls.facts = json.loads((guest.out / "facts.json").read_text())
            print(f"\n{guest.console()}", file=sys.stderr, flush=True)
        finally:
            guest.close()

    @for_each_observation
    def test_finds_the_nodes(self, seen, homes):
        shared = len(set(homes)) < len(homes)
        nodes = seen["topology"]["nodes"]
        self.assertEqual([node["os_index"] for node in nodes], homes)
        self.assertEqual([tuple(node["cpus"]) for node in nodes],
                         [self.nodes[home].cpus for home in homes])
        self.assertEqual([node["distances"] for node in nodes],
                         [[10 if home == other else 21 for other in homes]
                          for home in homes])
        for told in (nodes, seen["stats"]["nodes"], seen["plan"]["nodes"]):
            self.assertEqual([node["simulated"] for node in told],
                             [shared] * len(homes))

    @for_each_observation
    def test_binds_every_worker_to_its_cpu(self, seen, homes):
        bound = {thread["name"]: thread["cpus"]
                 for thread in seen["threads"]
                 if re.fullmatch(r"mlad/\d+/\d+|mlad-engine",
                                 thread["name"])}
        expected = {}
        for node in seen["topology"]["nodes"]:
            for worker, cpu in enumerate(node["cpus"]):
                name = f"mlad/{node['node']}/{worker}"
                # The engine's thread leads node 0.
                expected[name if name != "mlad/0/0" else "mlad-engine"] = [
                    cpu]
        self.assertEqual(bound, expected)

    @for_each_observation
    def test_every_planned_byte_is_on_its_node(self, seen, homes):
        self.assertEqual(len(seen["plan"]["nodes"]), len(homes))
        for plan, home in zip(seen["plan"]["nodes"], homes):
            self.assertEqual(plan["os_index"], home)
            found = {}
            for region in seen["regions"]:
                if region["node"] != plan["node"]:
                    continue
                pages = -(-region["bytes"] // PAGE_BYTES)
                self.assertEqual(region["pages"], {str(home): pages},
                                 region["purpose"])
                found[region["purpose"]] = found.get(
                    region["purpose"], 0) + region["bytes"]
            self.assertEqual(found["KV cache"], plan["kv_bytes_capacity"])
            self.assertEqual(found["step buffers"], plan["compute_bytes"])
            # Matrices begin at multiples of 64 bytes.
            self.assertGreaterEqual(found["weights"],
                                    plan["weights_bytes"])
            self.assertLess(found["weights"],
                            1.001 * plan["weights_bytes"])

    @for_each_observation
    def test_bound_memory_is_nowhere_else(self, seen, homes):
        bound = dict.fromkeys(homes, 0)
        for area in seen["bound_memory"]:
            home = int(area["policy"].partition(":")[2])
            self.assertLessEqual(set(area["bytes"]), {str(home)})
            bound[home] += sum(area["bytes"].values())
        planned = dict.fromkeys(homes, 0)
        for region in seen["regions"]:
            planned[homes[region["node"]]] += region["bytes"]
        for home in bound:
            self.assertGreaterEqual(bound[home], planned[home])

    @for_each_observation
    def test_page_astray_would_be_seen(self, seen, homes):
        pages = seen["with_page_astray"]
        self.assertEqual(set(pages), {"0", "1"})
        home = str(homes[seen["regions"][-1]["node"]])
        self.assertGreater(pages[home], 0)
        # Of 4 KiB, or one huge page.
        self.assertIn(min(pages.values()), (1, 512))

    @for_each_observation
    def test_nothing_is_misplaced(self, seen, homes):
        self.assertEqual([node["misplaced_pages"]
                          for node in seen["stats"]["nodes"]],
                         [0] * len(homes))
        asked = re.search(
            r"for the node of (\d+) of (\d+) pages: 0 misplaced",
            seen["log"])
        self.assertEqual(asked[1], asked[2])
        self.assertGreater(int(asked[1]), 0)

    @for_each_observation
    def test_every_node_holds_latents(self, seen, homes):
        for node in range(len(homes)):
            self.assertGreater(
                max(stats["nodes"][node]["kv_pages_used"]
                    for stats in seen["watched"]), 0)

    @for_each_observation
    def test_counts_local_and_remote_bytes(self, seen, homes):
        for node in seen["stats"]["nodes"]:
            self.assertGreater(node["local_bytes"], 0)
            self.assertGreater(node["remote_bytes"], 0)
            self.assertGreater(node["local_bytes"], node["remote_bytes"])

    @for_each_observation
    def test_answers_as_this_machine_does(self, seen, homes):
        self.assertEqual(seen["topology"]["isa"], "avx2")
        self.assertEqual(seen["generated"]["token_ids"],
                         self.expected["token_ids"])
        self.assertEqual(seen["generated"]["logprobs"],
                         self.expected["logprobs"])
        self.assertEqual(seen["exit_status"], 0)


class TwoSockets(GuestCase, unittest.TestCase):
    scenario = "two_sockets"
    nodes = [GuestNode(256, cpus=(0,)), GuestNode(256, cpus=(1,))]
    observations = {"small_pages": [0, 1], "huge_pages": [0, 1]}

    def test_takes_huge_pages_from_the_pools(self):
        def page_sizes(seen):
            return {area["page_bytes"] for area in seen["bound_memory"]}
        self.assertEqual(page_sizes(self.facts["small_pages"]), {PAGE_BYTES})
        self.assertIn(2 << 20, page_sizes(self.facts["huge_pages"]))

    def test_full_node_is_refused_by_name(self):
        refused = self.facts["node_1_full"]
        self.assertEqual(refused["exit_status"], 1, refused)
        self.assertRegex(refused["stderr"],
                         r"needed on NUMA node 1, where .* are missing "
                         r"\(node 0 has .* MiB free\)")

    def test_cpuset_is_obeyed_and_told(self):
        doctor = self.facts["doctor_on_node_0"]
        self.assertEqual(doctor["exit_status"], 0, doctor)
        nodes = re.findall(r"(\d+): 1 workers, ([\d.]+) MiB", doctor["output"])
        self.assertEqual([node for node, _ in nodes], ["0"], doctor)
        self.assertLess(float(nodes[0][1]), self.nodes[0].memory_mib)
        self.assertIn("CPUs 1 are not used", doctor["output"])


class FourNodes(GuestCase, unittest.TestCase):
    """Two of them are memory alone: a guest has no more CPUs than this machine
    has cores, or waiting for each other takes the workers forever."""
    scenario = "four_nodes"
    nodes = [GuestNode(320, cpus=(0,)), GuestNode(256, cpus=(1,)),
             GuestNode(128), GuestNode(128)]
    observations = {"real": [0, 1], "simulated": [0, 0, 1, 1]}

    def test_says_which_nodes_are_not_used(self):
        for seen in self.facts.values():
            for node in (2, 3):
                self.assertIn(f"NUMA node {node} has no usable CPUs",
                              seen["log"])


if __name__ == "__main__":
    unittest.main()
