"""The embedded servers: durable, private, and restarted after any death."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from counterfoil_dev.child import ChildFailed, command_of
from counterfoil_dev.postgres import Postgres, embedded_postgres
from counterfoil_dev.state import State, StateInUse
from counterfoil_dev.valkey import Valkey, embedded_valkey


def within(seconds: float, claim: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if claim():
            return True
        time.sleep(0.05)
    return False


def running_below(place: Path) -> list[str]:
    """The command lines of all processes that name this path."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [command for pid in pids if str(place) in (command := command_of(pid)) and pid != os.getpid()]


def test_an_acknowledged_commit_is_on_disk(postgres_server: Postgres) -> None:
    shown = postgres_server.run("show fsync; show synchronous_commit; show full_page_writes; show data_checksums;")
    assert shown.split() == ["on"] * 4


def test_the_application_owns_nothing_and_the_owner_is_no_superuser(postgres_server: Postgres) -> None:
    roles = postgres_server.run(
        "select rolname, rolsuper, rolcreatedb, rolcreaterole from pg_roles "
        "where rolname like 'counterfoil%' order by 1;"
    )
    assert roles.split() == ["counterfoil_app|f|f|f", "counterfoil_owner|f|f|f", "counterfoil_reader|f|f|f"]
    assert postgres_server.run("select count(*) from pg_class join pg_roles r on r.oid = relowner "
                               "where rolname = 'counterfoil_app';").strip() == "0"  # fmt: skip


def test_sockets_are_private_and_no_server_listens_on_a_port(postgres_server: Postgres, valkey: Valkey) -> None:
    for directory in (postgres_server.sockets, valkey.path.parent):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert postgres_server.run("show listen_addresses;").strip() == ""
    client: redis.Redis = redis.Redis.from_url(valkey.url)
    assert client.config_get("port") == {"port": "0"}
    client.close()


def test_only_our_user_can_read_the_data(server_state: State, postgres_server: Postgres, valkey: Valkey) -> None:
    for name in ("postgres", "valkey"):
        assert stat.S_IMODE((server_state.home / name).stat().st_mode) == 0o700
    assert postgres_server.child.alive
    assert valkey.child.alive


def test_committed_rows_survive_kill_9(place: Path) -> None:
    with embedded_postgres(State.at(place)) as server:
        server.run("create table kept (n int);")
        for n in range(3):
            server.run(f"insert into kept values ({n});")
            server.child.kill()
            server.start()
        assert server.run("select n from kept order by n;").split() == ["0", "1", "2"]


def test_keys_written_to_valkey_survive_kill_9(place: Path) -> None:
    with embedded_valkey(State.at(place)) as server:
        client: redis.Redis = redis.Redis.from_url(server.url)
        client.set("wake", "up")
        assert within(5, lambda: "wake" in (place / "valkey/appendonlydir").joinpath(_last_log(place)).read_text())
        server.child.kill()
        server.start()
        assert client.get("wake") == b"up"
        client.close()


def _last_log(place: Path) -> str:
    return max(each.name for each in (place / "valkey/appendonlydir").glob("*.incr.aof"))


def test_a_second_start_finds_the_data_of_the_first(place: Path) -> None:
    with embedded_postgres(State.at(place)) as server:
        server.run("create table kept as select 1 as n;")
    with embedded_postgres(State.at(place)) as server:
        assert server.run("select n from kept;").strip() == "1"
    assert running_below(place) == []


def test_a_lock_file_that_names_a_foreign_process_is_ignored(place: Path) -> None:
    with embedded_postgres(State.at(place)) as server:
        data = Path(server.child.command[2])
    stranger = subprocess.Popen(["sleep", "60"], **State.at(place).user.run_as)
    try:
        (data / "postmaster.pid").write_text(f"{stranger.pid}\n{data}\n0\n5432\n\n\n0 0\nready\n")
        with embedded_postgres(State.at(place)) as server:
            assert server.run("select 1;").strip() == "1"
    finally:
        stranger.kill()
        stranger.wait()


def test_a_server_waits_for_the_backends_of_a_killed_one(place: Path) -> None:
    with embedded_postgres(State.at(place)) as server:
        pid = int(server.run("select pid from pg_stat_activity where backend_type = 'checkpointer';"))
        os.kill(pid, signal.SIGSTOP)  # it cannot notice that its postmaster has died
        server.child.kill()
        timer = threading.Timer(1.0, os.kill, (pid, signal.SIGCONT))
        timer.start()
        began = time.monotonic()
        server.start()
        assert time.monotonic() - began > 0.9
        assert server.run("select 1;").strip() == "1"
        timer.join()


def test_a_path_too_long_for_a_socket_is_no_obstacle(place: Path) -> None:
    place.chmod(0o711)
    state = State.at(place / ("long" * 15) / ("longer" * 12))
    with embedded_postgres(state) as server, embedded_valkey(state) as valkey:
        assert server.run("select 1;").strip() == "1"
        assert server.child.command[2].startswith(str(place))
        assert len(str(valkey.path)) < 100
    assert not server.sockets.exists()
    assert not valkey.path.parent.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as somebody else")
def test_a_private_home_above_the_state_is_no_obstacle(place: Path) -> None:
    place.chmod(0o700)
    state = State.at(place / "checkout")
    try:
        with embedded_postgres(state) as server, embedded_valkey(state):
            server.run("create table kept as select 1 as n;")
        with embedded_postgres(State.at(place / "checkout")) as server:
            assert server.run("select n from kept;").strip() == "1"
        assert state.home != state.root
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    finally:
        shutil.rmtree(state.home)


def test_two_supervisors_cannot_use_one_state(place: Path) -> None:
    holder = "import sys, time; from pathlib import Path; from counterfoil_dev.state import State\n"
    holder += "with State.at(Path(sys.argv[1])).locked(): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", holder, place], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StateInUse, match=f"in use by process {other.pid}"), State.at(place).locked():
            pass
        other.kill()
    with State.at(place).locked():
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of the dead")
def test_servers_end_when_their_supervisor_is_killed(place: Path) -> None:
    script = "import sys, time; from pathlib import Path; from counterfoil_dev.state import State\n"
    script += (
        "from counterfoil_dev.postgres import embedded_postgres; from counterfoil_dev.valkey import embedded_valkey\n"
    )
    script += "state = State.at(Path(sys.argv[1]))\n"
    script += "with embedded_postgres(state), embedded_valkey(state): print('up', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script, place], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == "up\n"
        assert len(running_below(place)) >= 2
        supervisor.send_signal(signal.SIGKILL)
    with embedded_postgres(State.at(place)) as server:  # at once, while the old one may still be ending
        assert server.run("select 1;").strip() == "1"
    assert within(10, lambda: running_below(place) == [])


def test_a_server_that_cannot_start_shows_the_reason(place: Path) -> None:
    with (
        pytest.raises(ChildFailed, match="unrecognized configuration parameter"),
        embedded_postgres(State.at(place), options={"no_such_option": "1"}),
    ):
        pass
    assert running_below(place) == []


def test_the_servers_are_ours_whatever_the_path_variable_says(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("PGHOST", "elsewhere.example")
    monkeypatch.setenv("LC_ALL", "xx_XX.UTF-8")
    with embedded_postgres(State.at(place)) as server, embedded_valkey(State.at(place)):
        assert server.run("show server_version_num;").startswith("18")
