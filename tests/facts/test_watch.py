import asyncio
import json
import os
import sys

import pytest

from proxy.facts.build_directory import index_report, main
from proxy.facts.directory import Directory, DirectoryError
from proxy.facts.watch import DirectorySource, refresh, start


@pytest.fixture
def source(tmp_path):
    return DirectorySource(tmp_path / "accounts.jsonl", tmp_path / "state")


async def test_a_refresh_builds_in_another_process_while_the_loop_goes_on(
    source, account, write_accounts
):
    write_accounts(*map(account, range(200)))
    beats = 0

    async def beat():
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    heart = asyncio.create_task(beat())
    directory = await refresh(source)
    heart.cancel()

    assert directory.by_credential("sk-150")
    assert len(directory) == 200
    assert index_report(source.index, source.path).pid not in (0, os.getpid())
    assert beats > 10


async def test_a_file_is_changed_until_it_was_tried_and_again_when_it_is_replaced(
    source, account, write_accounts
):
    write_accounts(account(1))
    assert source.changed()
    await refresh(source)
    assert not source.changed()

    write_accounts(account(2))
    assert source.changed()
    assert (await refresh(source)).by_credential("sk-2")
    assert not source.changed()


async def test_a_link_that_leads_elsewhere_is_a_change(source, account, tmp_path):
    for number in (1, 2):
        (tmp_path / f"v{number}").write_text(json.dumps(account(number)))
    source.path.symlink_to("v1")
    assert (await refresh(source)).by_credential("sk-1")
    (tmp_path / "new").symlink_to("v2")
    (tmp_path / "new").replace(source.path)

    assert source.changed()
    assert (await refresh(source)).by_credential("sk-2")


async def test_a_bad_file_is_told_once_and_not_tried_again_until_it_changes(
    source, account, write_accounts
):
    write_accounts(account(1), "{")

    error = await refresh(source)

    assert isinstance(error, DirectoryError)
    assert error.problems[0].startswith(f"{source.path}:2: not JSON")
    assert not source.changed()


async def test_a_file_that_vanishes_is_an_error_and_comes_back_as_a_change(
    source, account, write_accounts
):
    error = await refresh(source)
    assert "cannot be read or indexed" in str(error)
    assert not source.changed()
    write_accounts(account(1))
    assert source.changed()


async def test_a_start_with_a_bad_file_uses_the_last_good_one_and_says_why(
    source, account, write_accounts, tmp_path
):
    write_accounts(account(1))
    await refresh(source)
    write_accounts("{")

    directory, error = await start(DirectorySource(source.path, tmp_path / "state"))

    assert directory.by_credential("sk-1")
    assert "accounts.jsonl:1: not JSON" in str(error)


async def test_a_start_without_a_good_file_or_an_index_is_an_error(source, write_accounts):
    write_accounts("{")
    with pytest.raises(DirectoryError, match=r"accounts\.jsonl:1: "):
        await start(source)


async def test_a_start_does_not_take_the_index_of_another_file(source, account, tmp_path):
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps(account(1)))
    await refresh(DirectorySource(other, tmp_path / "state"))

    with pytest.raises(DirectoryError, match="cannot be read or indexed"):
        await start(source)


async def test_a_good_start_has_no_error(source, account, write_accounts):
    write_accounts(account(1))
    directory, error = await start(source)
    assert directory.by_account("acc-1")
    assert error is None


async def test_a_builder_that_fails_or_cannot_start_is_told_and_tried_again(
    source, account, write_accounts, monkeypatch
):
    write_accounts(account(1))
    for command, message in (
        ([sys.executable, "-c", "raise SystemExit('out of luck')"], "failed (1): out of luck"),
        ([sys.executable, "-c", ""], "failed (0): no output"),
        (["/nonexistent/python"], "cannot start the builder"),
    ):
        monkeypatch.setattr(source, "build_command", lambda command=command: command)
        error = await refresh(source)
        assert isinstance(error, DirectoryError)
        assert message in str(error)
        assert source.changed()


async def test_a_builder_that_hangs_is_stopped(source, account, write_accounts, monkeypatch):
    write_accounts(account(1))
    hang = [sys.executable, "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(source, "build_command", lambda: hang)

    error = await refresh(source, timeout_s=0.05)

    assert "took longer than 0.05 s" in str(error)
    assert source.changed()


async def test_a_refresh_that_is_cancelled_leaves_no_builder_behind(
    source, account, write_accounts, monkeypatch, tmp_path
):
    write_accounts(account(1))
    pid_file = tmp_path / "pid"
    code = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    monkeypatch.setattr(source, "build_command", lambda: [sys.executable, "-c", code])
    task = asyncio.create_task(refresh(source))
    async with asyncio.timeout(30):
        while not (pid_file.exists() and pid_file.read_text()):  # noqa: ASYNC110 -- a file
            await asyncio.sleep(0.01)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_the_builder_reports_on_standard_output_and_by_its_exit_code(
    source, account, write_accounts, capsys, monkeypatch
):
    monkeypatch.setattr(os, "nice", lambda _: None)
    monkeypatch.setattr("gc.disable", lambda: None)
    assert main([str(write_accounts(account(1))), str(source.index)]) == 0
    assert json.loads(capsys.readouterr().out)["accounts"] == 1
    assert main([str(write_accounts("{")), str(source.index)]) == 1
    assert len(json.loads(capsys.readouterr().out)["problems"]) == 1
    assert main([]) == 2
    assert "usage: " in capsys.readouterr().err
    assert Directory.open(source.index).by_credential("sk-1")
