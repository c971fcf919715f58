"""What a guest does: runs as root inside it, starts the daemon, looks at it from
outside through the kernel's own interfaces, and writes what it saw, unjudged, to
/run/out/facts.json. guest_test.py judges.

  inside.py SCENARIO BIN MODEL
"""

import collections
import contextlib
import ctypes
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import time

OUT = pathlib.Path("/run/out")
SYS_MOVE_PAGES = 279  # x86-64
MPOL_MF_MOVE = 2
PAGE_BYTES = resource.getpagesize()
NODES = pathlib.Path("/sys/devices/system/node")


def step(name):
    """A line on the console, for whoever wonders where the time goes."""
    uptime = pathlib.Path("/proc/uptime").read_text().split()[0]
    print(f"{uptime:>8} s  {name}", flush=True)


def move_pages(pid, addresses, to_node=None):
    """The node of each page of another process, after moving all to `to_node`
    if there is one; a negative error number where there is no page."""
    count = len(addresses)
    pages = (ctypes.c_void_p * count)(*addresses)
    status = (ctypes.c_int * count)()
    nodes = None if to_node is None else (ctypes.c_int * count)(
        *[to_node] * count)
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    if syscall(SYS_MOVE_PAGES, pid, ctypes.c_ulong(count), pages, nodes, status,
               MPOL_MF_MOVE) != 0:
        raise OSError(ctypes.get_errno(), "move_pages")
    return list(status)


def nodes_of_pages(pid, begin, size):
    """{node: pages}, see move_pages."""
    return collections.Counter(
        move_pages(pid, range(begin, begin + size, PAGE_BYTES)))


def bound_memory(pid):
    """What numa_maps says of the memory that is bound to a node:
    [{policy, node: bytes}]."""
    result = []
    for line in pathlib.Path(f"/proc/{pid}/numa_maps").read_text().splitlines():
        policy = line.split()[1]
        if not policy.startswith("bind"):
            continue
        unit = int(re.search(r"kernelpagesize_kB=(\d+)", line)[1]) * 1024 \
            if "kernelpagesize_kB" in line else PAGE_BYTES
        result.append({
            "policy": policy, "page_bytes": unit,
            "bytes": {node: int(pages) * unit
                      for node, pages in re.findall(r" N(\d+)=(\d+)", line)}})
    return result


def threads_of(pid):
    result = []
    for task in sorted(pathlib.Path(f"/proc/{pid}/task").iterdir()):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            result.append({
                "name": (task / "comm").read_text().strip(),
                "cpus": sorted(os.sched_getaffinity(int(task.name)))})
    return result


class Daemon:
    """mlad serve on a unix socket."""

    def __init__(self, mlad_bin, model, *arguments):
        self._bin = pathlib.Path(mlad_bin)
        self._log = pathlib.Path("/run/mlad.log")
        with open(self._log, "w") as log:
            self._process = subprocess.Popen(
                [self._bin / "mlad", "serve", "--model", model, "--listen",
                 "unix:/run/mlad.sock", "--log-level", "debug", *arguments],
                stderr=log)
        self.pid = self._process.pid

    def log(self):
        return self._log.read_text()

    def wait_until_serving(self):
        while " serving\n" not in self.log():
            if self._process.poll() is not None:
                raise RuntimeError(f"mlad ended early:\n{self.log()}")
            time.sleep(0.1)

    def ctl(self, *arguments):
        return [self._bin / "mla-ctl", "--address", "unix:/run/mlad.sock",
                *arguments]

    def ctl_json(self, *arguments):
        done = subprocess.run(self.ctl(*arguments, "--json"), check=False,
                              capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(
                f"mla-ctl {arguments[0]} ended with {done.returncode}: "
                f"{done.stderr.decode()}\nmlad's log:\n{self.log()}")
        return json.loads(done.stdout)

    def stop(self):
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait()


def regions_of(daemon):
    """The regions that the daemon says it has, and where the kernel says that
    their pages are."""
    regions = []
    for begin, size, node, purpose in re.findall(
            r"memory at (0x[0-9a-f]+), (\d+) bytes, node (\d+), .*: (.*)",
            daemon.log()):
        begin, size = int(begin, 16), int(size)
        if size == 0:
            continue
        regions.append({
            "purpose": purpose, "node": int(node), "begin": begin,
            "bytes": size, "pages": nodes_of_pages(daemon.pid, begin, size)})
    return regions


def plan(mlad_bin, model, *arguments):
    output = subprocess.run(
        [f"{mlad_bin}/mlad", "plan", "--model", model, "--json", *arguments],
        check=True, stdout=subprocess.PIPE).stdout
    return json.loads(output)


def observe(mlad_bin, model, generate, *arguments):
    """Serves, generates, and tells everything about it."""
    step(f"mlad serve {' '.join(arguments)}")
    daemon = Daemon(mlad_bin, model, *arguments)
    daemon.wait_until_serving()
    step("serving; generating")
    watch = subprocess.Popen(
        daemon.ctl("stats", "--watch", "0.3", "--json"), text=True,
        stdout=subprocess.PIPE)
    generated = daemon.ctl_json(*generate)
    watch.terminate()
    watched = [json.loads(line) for line in watch.communicate()[0].splitlines()
               if line.endswith("}")]
    step("looking at it")
    facts = {
        "plan": plan(mlad_bin, model, *arguments),
        "topology": daemon.ctl_json("topology"),
        "stats": daemon.ctl_json("stats"),
        "watched": watched,
        "generated": generated,
        "threads": threads_of(daemon.pid),
        "regions": regions_of(daemon),
        "bound_memory": bound_memory(daemon.pid),
    }
    # Whether a page astray would be seen: the last region's first, moved to
    # the other node.
    last = facts["regions"][-1]
    begin, size = last["begin"], last["bytes"]
    there = move_pages(daemon.pid, [begin])[0]
    move_pages(daemon.pid, [begin], to_node=1 - there)
    facts["with_page_astray"] = nodes_of_pages(daemon.pid, begin, size)
    facts["exit_status"] = daemon.stop()
    facts["log"] = daemon.log()
    return facts


def attempt(mlad_bin, model, *arguments):
    """mlad serve that is expected to end by itself."""
    step(f"mlad serve {' '.join(arguments)} (to be refused)")
    process = subprocess.Popen(
        [f"{mlad_bin}/mlad", "serve", "--model", model, "--listen",
         "unix:/run/refused.sock", *arguments],
        stderr=subprocess.PIPE, text=True)
    try:
        _, stderr = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.terminate()
        _, stderr = process.communicate()
        stderr += "still running after 60 s"
    return {"exit_status": process.returncode, "stderr": stderr}


def free_bytes(node):
    text = (NODES / f"node{node}/meminfo").read_text()
    return int(re.search(r"MemFree:\s+(\d+) kB", text)[1]) * 1024


def fill_node(node, leave_bytes):
    """Takes a node's memory until about leave_bytes are free, and none can be
    had by dropping files."""
    step(f"filling node {node}")
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
    folder = pathlib.Path(f"/run/fill{node}")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=100%,mpol=bind:{node}",
                    "fill", folder], check=True)
    size = 0
    with open(folder / "file", "wb") as file:
        while free_bytes(node) > leave_bytes:
            os.posix_fallocate(file.fileno(), size, 4 << 20)
            size += 4 << 20


def in_cpuset(cpus, memory_nodes, *command):
    """Runs a program in a cgroup that has these CPUs and nodes only."""
    step(f"{' '.join(map(str, command[1:]))} in a cpuset")
    root = pathlib.Path("/sys/fs/cgroup")
    subprocess.run(["mount", "-t", "cgroup2", "cgroup2", root], check=True)
    (root / "cgroup.subtree_control").write_text("+cpuset")
    group = root / "narrow"
    group.mkdir()
    (group / "cpuset.cpus").write_text(cpus)
    (group / "cpuset.mems").write_text(memory_nodes)
    return subprocess.run(
        command, text=True, check=False, capture_output=True,
        preexec_fn=lambda: (group / "cgroup.procs").write_text(
            str(os.getpid())))


def set_huge_pages(node, count):
    pool = NODES / f"node{node}/hugepages/hugepages-2048kB/nr_hugepages"
    pool.write_text(str(count))


def two_sockets(mlad_bin, model, generate):
    facts = {"small_pages": observe(mlad_bin, model, generate)}
    for node in (0, 1):
        set_huge_pages(node, 32)
    facts["huge_pages"] = observe(
        mlad_bin, model, generate, "--moe-placement", "whole")
    for node in (0, 1):
        set_huge_pages(node, 0)
    narrow = in_cpuset("0-1", "0", f"{mlad_bin}/mlad", "doctor", "--model",
                       model)
    facts["doctor_on_node_0"] = {"exit_status": narrow.returncode,
                                 "output": narrow.stdout + narrow.stderr}
    fill_node(1, leave_bytes=24 << 20)
    facts["node_1_full"] = attempt(mlad_bin, model)
    return facts


def four_nodes(mlad_bin, model, generate):
    return {"real": observe(mlad_bin, model, generate),
            "simulated": observe(mlad_bin, model, generate, "--nodes", "4")}


def main():
    scenario, mlad_bin, model, *generate = sys.argv[1:]
    step(scenario)
    facts = globals()[scenario](mlad_bin, model, generate)
    (OUT / "facts.json").write_text(json.dumps(facts))
    step("done")


if __name__ == "__main__":
    main()
