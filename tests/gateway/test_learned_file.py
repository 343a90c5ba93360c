"""What was learned about models survives a restart, and no damaged file keeps one from starting."""

import asyncio
from contextlib import suppress

from proxy.gateway.learned_file import keep, restore
from proxy.model.usage import Usage
from proxy.pipeline.learned import Learned


def taught() -> Learned:
    learned = Learned()
    for _ in range(40):
        learned.observe("m", "chat.completions", 100, 0, Usage(input_tokens=150, output_tokens=300))
    return learned


async def test_the_last_state_is_there_after_a_restart(tmp_path):
    before, after = taught(), Learned()
    task = asyncio.create_task(keep(tmp_path / "learned.json", before))
    await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    restore(tmp_path / "learned.json", after)
    assert after.output_p95("m", "chat.completions") == before.output_p95("m", "chat.completions")
    assert after.input_factor("m", "chat.completions") > 1.3
    assert [file.name for file in tmp_path.iterdir()] == ["learned.json"]


def test_what_cannot_be_read_is_begun_anew(tmp_path):
    learned = Learned()
    restore(tmp_path / "missing.json", learned)
    for text in ("", "[]", '{"version": 9}', '{"version": 1, "models": 5}'):
        (tmp_path / "learned.json").write_text(text)
        restore(tmp_path / "learned.json", learned)
    assert learned.output_p95("m", "chat.completions") is None
