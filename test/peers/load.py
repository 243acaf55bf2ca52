"""The load clients in C, run once each: their arguments from dictionaries, their one line of JSON as a dictionary."""

import json
import os
import subprocess

import ha

PROGRAM_S = 900


class LoadFailed(Exception):
    pass


def program(name, arguments, tolerate=False):
    """A measuring program of test/bench. `tolerate`: errors are a result, not a failure."""
    argv = [os.path.join(ha.ROOT, os.environ.get("BUILD", "build"), "bench", name)]
    argv += [f"{k}={v}" for k, v in arguments.items()]
    try:
        p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           errors="replace", timeout=PROGRAM_S, check=False, start_new_session=ha.Process.own_session)
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"{name} did not end within {PROGRAM_S} s") from None
    if p.returncode != 0:
        raise LoadFailed(f"{name}: {p.stderr.strip()[-1000:]}")
    result = json.loads(p.stdout)
    if result.get("errors") and not tolerate:
        raise LoadFailed(f"{name}: {result['errors']} errors; {p.stderr.strip()[-1000:]}")
    return result


class Background:
    """A load that goes on while something else is measured."""

    def __init__(self, arguments):
        argv = [os.path.join(ha.ROOT, os.environ.get("BUILD", "build"), "bench", "load")]
        argv += [f"{k}={v}" for k, v in arguments.items()]
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        errors="replace", start_new_session=ha.Process.own_session)

    def result(self):
        out, err = self.process.communicate(timeout=PROGRAM_S)
        if self.process.returncode != 0:
            raise LoadFailed(f"load: {err.strip()[-1000:]}")
        return json.loads(out)

    def running(self):
        return self.process.poll() is None

    def kill(self):
        if self.running():
            self.process.kill()
        self.process.communicate()
