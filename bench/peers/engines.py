"""The engines that compare.py times: mla-bench and its peers, each behind run().

run(tests, reps) returns {test name: [tokens/s of each repetition]}, and raises
EngineError when the program fails or prints something else.
"""
import json
import pathlib
import re
import shlex
import subprocess
import tempfile
import typing

TOP = pathlib.Path(__file__).resolve().parents[2]
NODE_FOLDER = TOP / "tests/oracles/llama_cpp"


class EngineError(Exception):
    """What went wrong, in a sentence."""


class Test(typing.NamedTuple):
    """A prompt (pp) or generation (tg) of some tokens after `depth` others, or
    that generation by several sequences at once (streams)."""
    kind: str
    tokens: int
    depth: int = 0
    streams: int = 1

    @property
    def name(self):
        depth = f"@d{self.depth}" if self.depth else ""
        streams = f"x{self.streams}" if self.kind == "streams" else ""
        return f"{self.kind}{self.tokens}{depth}{streams}"


def run_program(command, text_in=None, errors_too=False):
    """Standard output of a program that succeeds, with `errors_too` what it
    prints as errors as well. Runs in an empty folder: some peers leave log
    files."""
    command = [str(word) for word in command]
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = subprocess.run(
                command, input=text_in, cwd=folder, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if errors_too else subprocess.PIPE,
                text=True, errors="replace", check=False)
        except OSError as error:
            raise EngineError(f"{command[0]} cannot be started: {error}") from error
    if result.returncode != 0:
        said = result.stdout if errors_too else result.stderr
        last = "\n".join(said.strip().splitlines()[-5:])
        raise EngineError(f"`{shlex.join(command)}` ended with status "
                          f"{result.returncode}:\n{last}")
    return result.stdout


def parse_json(text, program):
    """JSON that begins on a line of its own, behind whatever else is printed."""
    match = re.search(r"^[\[{]", text, re.MULTILINE)
    if match is None:
        raise EngineError(f"{program} printed no JSON")
    try:
        return json.JSONDecoder().raw_decode(text, match.start())[0]
    except json.JSONDecodeError as error:
        raise EngineError(f"{program} printed malformed JSON: {error}") from error


class MlaBench:
    """mla-bench of this tree."""

    def __init__(self, path, model, kv, arguments):
        self.name = "mlad"
        self.command = [path, "--model", model, "--kv", kv, "--json",
                        *arguments]
        self.facts = {}

    def run(self, tests, reps):
        """One load for prompts and one for generation: their lists of depths
        are crossed with their lengths."""
        results = {}
        for kind, depth_option in (("pp", "--pp-depth"), ("tg", "--depth")):
            chosen = [t for t in tests if t.kind == kind]
            if not chosen:
                continue
            lengths = sorted({t.tokens for t in chosen})
            depths = sorted({t.depth for t in chosen})
            report = self.report(
                [f"--{kind}", ",".join(map(str, lengths)), depth_option,
                 ",".join(map(str, depths)), "--reps", reps])
            results.update({row["test"]: row["repetitions"]
                            for row in report["rows"]})
        return {t.name: results[t.name] for t in tests}

    def report(self, arguments):
        report = parse_json(run_program(self.command + arguments), "mla-bench")
        self.facts = {key: value for key, value in report.items()
                      if key != "rows"}
        return report

    def memory(self, context):
        report = self.report(["--context", context, "--pp", 1, "--reps", 1])
        return {"cache_mib": report["kv_bytes_capacity"] / 2**20,
                "compute_mib": report["compute_bytes"] / 2**20}


class NodeLlamaCpp:
    """The prebuilt llama.cpp of npm's node-llama-cpp."""

    def __init__(self, model, kv, threads):
        run_program([TOP / "tests/oracles/install.sh", NODE_FOLDER,
                     "--omit=optional"])
        self.name = "llama.cpp (node-llama-cpp)"
        self.job = {"model": str(model), "kv": kv, "threads": threads}
        self.facts = {}

    def run(self, tests, reps):
        job = {**self.job, "reps": reps,
               "tests": [{**t._asdict(), "name": t.name} for t in tests]}
        text = run_program(["node", TOP / "bench/peers/llama_cpp.mjs",
                            NODE_FOLDER], json.dumps(job))
        report = parse_json(text, "llama_cpp.mjs")
        self.facts = {"version": report["version"], "kv": self.job["kv"]}
        return report["tests"]


class LlamaBench:
    """A llama-bench built by the user: ik_llama.cpp's, which reads the tokens
    before a generation with -gp, or llama.cpp's, which has -d."""

    def __init__(self, path, model, threads, arguments):
        self.path = path
        text = run_program([path, "--help"])
        self.is_ik = "-gp" in text
        if not self.is_ik and "--n-depth" not in text:
            raise EngineError(f"{path} has neither -gp nor --n-depth: is it a "
                              "llama-bench?")
        self.name = "ik_llama.cpp" if self.is_ik else "llama.cpp"
        self.command = [path, "-m", model, "-t", threads, "-o", "json",
                        *arguments]
        self.facts = {"arguments": arguments}

    def run(self, tests, reps):
        results = {}
        for test in tests:
            text = run_program(self.command + ["-r", reps] + self.select(test))
            rows = parse_json(text, self.path)
            found = {self.test_of(row): row["samples_ts"] for row in rows}
            if test not in found:
                raise EngineError(f"{self.path} did not run {test.name}")
            results[test.name] = found[test]
            self.facts["build"] = rows[0].get("build_commit")
        return results

    def select(self, test):
        if test.kind == "pp":
            depth = ["-d", test.depth] if test.depth else []
            if depth and self.is_ik:
                raise EngineError("this llama-bench times prompts from an empty "
                                  "cache only")
            return ["-p", test.tokens, "-n", 0, *depth]
        if test.depth == 0:
            return ["-p", 0, "-n", test.tokens]
        if self.is_ik:
            return ["-p", 0, "-n", 0, "-gp", f"{test.depth},{test.tokens}"]
        return ["-p", 0, "-n", test.tokens, "-d", test.depth]

    @staticmethod
    def test_of(row):
        prompt, generated = int(row["n_prompt"]), int(row["n_gen"])
        depth = int(row.get("n_depth", 0))
        if generated == 0:
            return Test("pp", prompt, depth)
        return Test("tg", generated, depth + prompt)


class SweepBench:
    """ik_llama.cpp's llama-sweep-bench: prompt pieces of `step` tokens and
    generation at each multiple of `step`, in one walk over the context."""

    def __init__(self, path, model, threads, arguments, step):
        self.path, self.step = path, step
        self.name = "ik_llama.cpp (sweep)"
        self.command = [path, "-m", model, "-t", threads, "-ub", step,
                        *arguments]
        self.facts = {"arguments": arguments}

    def fits(self, test):
        return test.depth % self.step == 0 and (
            test.kind == "tg" or test.tokens == self.step)

    def run(self, tests, reps):
        tests = [t for t in tests if self.fits(t)]
        if not tests:
            return {}
        generated = {t.tokens for t in tests if t.kind == "tg"} or {16}
        if len(generated) > 1:
            raise EngineError("llama-sweep-bench generates one number of tokens")
        context = max(t.depth for t in tests) + self.step
        results = {t.name: [] for t in tests}
        for _ in range(reps):
            text = run_program(self.command + [
                "-c", context, "-n", min(generated), "--output-format", "jsonl"],
                errors_too=True)
            for row in map(json.loads, re.findall(r"^\{.*\}\s*$", text,
                                                  re.MULTILINE)):
                for test, speed in (
                        (Test("pp", row["pp"], row["n_kv"]), row["speed_pp"]),
                        (Test("tg", row["tg"], row["n_kv"]), row["speed_tg"])):
                    if test.name in results:
                        results[test.name].append(speed)
        missing = [name for name, speeds in results.items() if not speeds]
        if missing:
            raise EngineError(f"{self.path} printed no row for "
                              + ", ".join(missing))
        return results

    def memory(self, context):
        """What it says while it starts; stopped before it measures."""
        patterns = {
            "cache_mib": re.compile(r"KV self size\s*=\s*([\d.]+) MiB"),
            "compute_mib": re.compile(r"compute buffer size\s*=\s*([\d.]+) MiB")}
        found = {}
        command = [str(word) for word in self.command + ["-c", context]]
        with tempfile.TemporaryDirectory() as folder, subprocess.Popen(
                command, cwd=folder, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True,
                errors="replace") as process:
            for line in process.stdout:
                for key, pattern in patterns.items():
                    match = pattern.search(line)
                    if match:
                        found[key] = found.get(key, 0) + float(match[1])
                if "N_KV" in line:  # the head of its table
                    break
            process.kill()
        if set(found) != set(patterns):
            raise EngineError(f"{self.path} did not say how large its buffers "
                              "are")
        return found
