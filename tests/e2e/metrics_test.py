"""What Prometheus reads of a daemon on the demo model, and that dashboard and
alerts ask for nothing else."""

import json
import re
import subprocess
import unittest
import urllib.error
import urllib.request

from daemon import BIN, Daemon, TOP

PROMTOOL = TOP / "tests/monitoring/fetch_promtool.sh"
ALERTS = TOP / "deploy/monitoring/alerts.yml"
DASHBOARD = TOP / "deploy/monitoring/grafana.json"


def promtool(*arguments, text_in=""):
    path = subprocess.run([PROMTOOL, TOP / "build/promtool"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()
    return subprocess.run([path, *arguments], input=text_in, text=True,
                          capture_output=True, check=False)


def metric_names(text):
    """Of an expression, or of all expressions of a file."""
    return {re.sub("_(bucket|sum|count)$", "", name)
            for name in re.findall(r"\bmlad_[a-z_]+", text)}


class MetricsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon("--metrics", "127.0.0.1:0", "--nodes", "2",
                            "--threads-per-node", "1")
        cls.addClassCleanup(cls.daemon.stop)
        cls.daemon.wait_until_serving()
        cls.url = re.search(r"metrics at (http://\S+)",
                            cls.daemon.log()).group(1)

    def read(self):
        with urllib.request.urlopen(self.url, timeout=20) as answer:
            self.assertTrue(
                answer.headers["Content-Type"].startswith("text/plain"))
            return answer.read().decode()

    def values(self):
        lines = [line for line in self.read().splitlines()
                 if not line.startswith("#")]
        return {key: float(value)
                for key, value in (line.rsplit(" ", 1) for line in lines)}

    def test_counts_what_happens(self):
        before = self.values()
        self.assertEqual(before["mlad_serving"], 1)
        answer = self.daemon.ctl_json("generate", "Call me", "-n", 20,
                                      "--ignore-eos")
        after = self.values()

        def grown(name):
            return after[name] - before[name]
        self.assertEqual(grown("mlad_generated_tokens_total"), 20)
        self.assertEqual(grown("mlad_prompt_tokens_total"),
                         answer["usage"]["prompt_tokens"])
        self.assertEqual(grown("mlad_requests_total"), 1)
        self.assertEqual(grown("mlad_first_token_seconds_count"), 1)
        self.assertEqual(grown('mlad_first_token_seconds_bucket{le="+Inf"}'), 1)
        self.assertEqual(grown("mlad_token_gap_seconds_count"), 19)
        self.assertEqual(grown("mlad_request_seconds_count"), 1)
        self.assertGreater(grown("mlad_request_seconds_sum"), 0)
        for node in "01":
            self.assertGreater(
                grown(f'mlad_node_read_bytes_total{{node="{node}",from="local"}}'), 0)
            self.assertGreater(grown(f'mlad_node_busy_seconds_total{{node="{node}"}}'),
                               0)
        stats = self.daemon.ctl_json("stats")
        self.assertEqual(after['mlad_node_kv_capacity_bytes{node="1"}'],
                         float(stats["nodes"][1]["kv_bytes_capacity"]))
        self.assertGreaterEqual(
            max(value for key, value in after.items()
                if key.startswith("mlad_expert_skew_ratio")), 1)

    def test_dashboard_and_alerts_ask_for_what_there_is(self):
        self.daemon.ctl_json("generate", "Call me", "-n", 2)
        there = metric_names("\n".join(
            line for line in self.read().splitlines() if line[0] != "#"))
        dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
        asked = set()
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                asked |= metric_names(target["expr"])
        self.assertGreater(len(asked), 20)
        self.assertLessEqual(asked, there)
        alerts = metric_names(ALERTS.read_text(encoding="utf-8"))
        self.assertGreater(len(alerts), 8)
        self.assertLessEqual(alerts, there)

    def test_promtool_likes_them(self):
        rules = promtool("check", "rules", ALERTS)
        self.assertEqual(rules.returncode, 0, rules.stdout + rules.stderr)
        self.assertIn("10 rules found", rules.stdout)
        metrics = promtool("check", "metrics", text_in=self.read())
        self.assertEqual(metrics.returncode, 0, metrics.stdout + metrics.stderr)

    def test_other_pages_and_bad_addresses(self):
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(self.url + "x", timeout=20)
        self.assertEqual(refused.exception.code, 404)
        taken = self.url.split("/")[2]
        for address, sentence in ((taken, "cannot listen on"),
                                  ("0.0.0.0:9523", "from other machines"),
                                  ("unix:/tmp/x.sock", "HOST:PORT")):
            result = subprocess.run(
                [BIN / "mlad", "serve", "--listen", "127.0.0.1:0", "--metrics",
                 address], capture_output=True, text=True, timeout=60,
                check=False)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(sentence, result.stderr)


if __name__ == "__main__":
    unittest.main()
