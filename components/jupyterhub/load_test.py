"""Tests extraConfig: initializes JupyterHub with the whole configuration, as the hub does when it starts, in a process of its own,
without the hub's Secrets and without a network.

Ends with 0, or with 3 when the hub could not start like this. What is wrong, and in which line of extraConfig, is then in the
termination log of the container.
"""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

CONFIG_DIR = Path(os.environ.get("ODH_CONFIG_DIR", "/etc/jupyterhub"))
TERMINATION_LOG = Path(os.environ.get("ODH_TERMINATION_LOG", "/dev/termination-log"))
# Seconds that the configuration may take. Python is interrupted then, and says where; what cannot be interrupted is killed a little later.
LIMIT = int(os.environ.get("ODH_LOAD_LIMIT", "60"))
GRACE = 10

FAILED = 3
PASSED = "passed"


class TooLong(BaseException):
    """Not an Exception, which extraConfig may catch."""


def too_long(_signal, _frame):
    raise TooLong(f"it takes longer than {LIMIT} seconds")


def words(error):
    """The error as Python words it, and the line of extraConfig, if it is there."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "extraConfig"]
    if isinstance(error, SyntaxError) and error.filename == "extraConfig":
        lines.append(error.lineno)
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    text = said if isinstance(error, TooLong) else f"{type(error).__name__}: {said}"
    return f"line {lines[-1]}: {text}" if lines else text


def initialize(records):
    """What the hub does before it serves. Returns what is wrong, or None."""
    from jupyterhub.app import JupyterHub
    from kubespawner import KubeSpawner, spawner

    spawner.load_config = lambda *_, **__: None  # there is no cluster to talk to

    async def start():
        app = JupyterHub()
        await app.initialize(["--config", str(CONFIG_DIR / "jupyterhub_config.py")])
        if issubclass(app.spawner_class, KubeSpawner):
            app.spawner_class(parent=app, _mock=True)

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LIMIT)
    try:
        asyncio.run(start())
    except BaseException as error:
        # JupyterHub ends on values of the wrong type, and says in its log which.
        said = [record.getMessage() for record in records if record.levelno >= logging.CRITICAL]
        return said[-1] if said and isinstance(error, SystemExit) else words(error)
    finally:
        signal.alarm(0)
    # The hub only warns, and does not do what was meant.
    unknown = [record.getMessage() for record in records if "not recognized" in record.getMessage()]
    return unknown[0] if unknown else None


def child(verdict):
    records, factory = [], logging.getLogRecordFactory()

    def remember(*args, **kwargs):
        records.append(factory(*args, **kwargs))
        return records[-1]

    logging.setLogRecordFactory(remember)
    Path(verdict).write_text(initialize(records) or PASSED)
    sys.stdout.flush()
    os._exit(0)  # whatever extraConfig left running


def main():
    with tempfile.TemporaryDirectory() as folder:
        verdict = Path(folder) / "verdict"
        process = subprocess.Popen([sys.executable, __file__, str(verdict)], start_new_session=True)
        try:
            status = process.wait(LIMIT + GRACE)
            problem = verdict.read_text() if verdict.exists() else f"it ends the hub, with status {status}"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            problem = f"it takes longer than {LIMIT} seconds, and cannot be interrupted"
    if problem == PASSED:
        return 0
    problem = " ".join(problem.split())[:1000]
    print(problem, file=sys.stderr, flush=True)
    TERMINATION_LOG.write_text(problem)
    return FAILED


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(sys.argv[1])
    sys.exit(main())
