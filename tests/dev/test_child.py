"""A child process of the supervisor: how it starts, how it ends, and what it leaves."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from counterfoil_dev import child as module
from counterfoil_dev.child import Child, ChildFailed, command_of, end_leftover


def python(tmp_path: Path, script: str, *, patience_seconds: float = 20.0) -> Child:
    return Child(
        name="child",
        command=[sys.executable, "-c", script],
        environment=dict(os.environ),
        log=tmp_path / "child.log",
        pid_file=tmp_path / "child.pid",
        patience_seconds=patience_seconds,
    )


def started(child: Child) -> Child:
    child.start()
    child.wait_until(lambda: "up" in child.log.read_text())
    return child


def test_a_child_ends_on_request(tmp_path: Path) -> None:
    child = started(python(tmp_path, "import time; print('up', flush=True); time.sleep(60)"))
    assert child.end == "is running"
    child.stop()
    assert not child.alive
    assert child.end == "was ended by SIGTERM"
    assert not child.pid_file.exists()


def test_a_child_is_asked_only_once(tmp_path: Path) -> None:
    script = "import signal, time; n = []; signal.signal(15, lambda *_: n.append(1)); print('up', flush=True)\n"
    script += "while not n: time.sleep(0.01)\ntime.sleep(0.3); print(f'asked {len(n)}', flush=True)"
    child = started(python(tmp_path, script))
    child.ask_to_end()
    child.ask_to_end()
    child.stop()
    assert "asked 1" in child.log.read_text()
    assert child.end == "ended with status 0"


def test_a_child_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    child = started(python(tmp_path, script, patience_seconds=0.2))
    child.stop()
    assert child.end == "was ended by SIGKILL"


def test_its_own_children_are_ended_with_it(tmp_path: Path) -> None:
    script = "import os, subprocess, sys, time; kid = subprocess.Popen(['sleep', '60']); print('up', flush=True)\n"
    script += "print(kid.pid, flush=True); time.sleep(60)"
    child = started(python(tmp_path, script))
    child.wait_until(lambda: len(child.log.read_text().splitlines()) == 2)
    kid = int(child.log.read_text().split()[1])
    assert command_of(kid)
    child.kill()
    child.sweep()
    deadline = time.monotonic() + 10
    while command_of(kid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_last_lines_of_a_child_that_fails_at_once_are_shown(tmp_path: Path) -> None:
    child = python(tmp_path, "raise SystemExit('no such setting')")
    child.start()
    with pytest.raises(ChildFailed, match=r"child ended at once:\nno such setting"):
        child.wait_until(lambda: False)


def test_a_leftover_is_ended_and_a_foreign_process_with_its_number_is_not(tmp_path: Path) -> None:
    child = started(python(tmp_path, "import time; print('up', flush=True); time.sleep(60)"))
    pid, birth = child.pid_file.read_text().split()
    stranger = tmp_path / "stranger.pid"
    stranger.write_text(f"{pid} {int(birth) - 1}\n")
    end_leftover(stranger, ending=signal.SIGTERM)
    assert child.alive
    assert child.process is not None
    # In production it is no longer anybody's child; here we reap it ourselves.
    signal.signal(signal.SIGCHLD, lambda *_: child.process and child.process.poll())
    try:
        end_leftover(child.pid_file, ending=signal.SIGTERM)
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    assert not child.alive


def test_a_long_log_is_rotated_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_LOG_BYTES", 10)
    script = "import time; print('up and long enough', flush=True); time.sleep(0.5); print('later', flush=True)"
    child = started(python(tmp_path, script))
    child.trim_log()
    assert child.process is not None
    child.process.wait()
    assert (tmp_path / "child.log.1").read_text() == "up and long enough\n"
    assert child.log.read_text() == "later\n"
