"""Processes seen from outside: what a system takes of the machine, children included, and the machine itself."""

import os
import platform
import subprocess

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def _parents():
    """The parent of every process."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                found[int(pid)] = int(f.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    return found


def family(pids):
    """The processes and all that descend from them."""
    parents, members = _parents(), set(pids)
    grown = True
    while grown:
        more = {p for p, parent in parents.items() if parent in members} - members
        members |= more
        grown = bool(more)
    return members


def cpu_s(pids):
    """Processor time of the threads that these families have now."""
    total = 0
    for pid in family(pids):
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
                    total += int(f.read().split()[0])
        except OSError:
            continue
    return total / 1e9


def cpu_coarse_s(pids):
    """The same of all threads and ended children that there ever were, in ticks."""
    total = 0
    for pid in family(pids):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                fields = f.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(int(n) for n in fields[11:15])  # its own, and of children it waited for
    return total * TICK_S


def memory_mb(pids):
    """Resident memory of the families; what several of them share counts once (PSS)."""
    total = 0
    for pid in family(pids):
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii", errors="replace") as f:
                total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        except OSError:
            continue
    return total / 1024


def _first(path, start):
    try:
        with open(path, encoding="utf-8") as f:
            return next((line.split(":", 1)[-1].split("=", 1)[-1].strip().strip('"') for line in f if line.startswith(start)), "")
    except OSError:
        return ""


def description():
    memory = int(_first("/proc/meminfo", "MemTotal").split()[0]) / 1024 / 1024
    return {"processor": _first("/proc/cpuinfo", "model name") or platform.machine(), "cores": os.cpu_count(),
            "memory_gb": round(memory), "system": _first("/etc/os-release", "PRETTY_NAME"), "kernel": platform.release()}


def output(*argv, whole=False):
    """What a program says of itself, in one line unless the whole is wanted; "" if it cannot be run."""
    try:
        p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return p.stdout.strip() if whole else p.stdout.strip().split("\n")[0]
