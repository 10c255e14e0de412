import asyncio

from structlog.testing import capture_logs

from counterfoil.uses.repeating import Repeating


async def test_the_work_is_repeated_and_done_a_last_time_at_the_end() -> None:
    done = asyncio.Semaphore(0)

    async def work() -> None:
        done.release()

    often = Repeating(work, seconds=0.001, failure_event="failed")
    often.start()
    async with asyncio.timeout(60):
        for _ in range(3):
            await done.acquire()
    await often.stop()
    seldom = Repeating(work, seconds=3_600, failure_event="failed")
    seldom.start()
    while not done.locked():
        await done.acquire()
    async with asyncio.timeout(60):
        await seldom.stop()
    assert not done.locked(), "stopping ends the pause, and the work is done"


async def test_stopping_waits_for_running_work() -> None:
    began, may_end, ended = asyncio.Event(), asyncio.Event(), False

    async def work() -> None:
        nonlocal ended
        began.set()
        await may_end.wait()
        ended = True

    repeating = Repeating(work, seconds=0, failure_event="failed")
    repeating.start()
    await began.wait()
    stopping = asyncio.create_task(repeating.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    may_end.set()
    await stopping
    assert ended


async def test_a_failure_is_logged_and_the_work_goes_on() -> None:
    tried = 0
    twice = asyncio.Event()

    async def work() -> None:
        nonlocal tried
        tried += 1
        if tried == 2:
            twice.set()
        raise RuntimeError("a secret perhaps")

    repeating = Repeating(work, seconds=0, failure_event="things_not_written")
    with capture_logs() as logs:
        repeating.start()
        async with asyncio.timeout(60):
            await twice.wait()
        await repeating.stop()
    assert {"event": "things_not_written", "log_level": "warning", "error": "RuntimeError"} in logs
    assert "secret perhaps" not in str(logs)


async def test_unstarted_work_stops_at_once() -> None:
    await Repeating(asyncio.Event().wait, seconds=0, failure_event="failed").stop()
