"""The commands that change which rules act, against a gateway that serves."""

import asyncio
import hashlib
import os
import sys

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

POLICY = """
access:
  - {id: closed, match: {models: [m-small]}, mode: enforce, then: deny}
"""
TOKEN_SHA256 = hashlib.sha256(b"otto-token").hexdigest()
ADMIN = {"principals": [{"name": "otto", "role": "operator", "token_sha256": TOKEN_SHA256}]}


async def gauger(gate, *arguments, token="otto-token"):
    """A command beside the gateway, told where it listens as an operator would elsewhere."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "proxy.cli", *arguments, "--config", str(gate.directory / "gauger.yaml")),
        env={
            **os.environ,
            "GAUGER_ADMIN__LISTEN": gate.server.admin_address,
            "GAUGER_ADMIN_TOKEN": token,
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, told = await process.communicate()
    return process.returncode, (out or told).decode()


async def test_a_rule_is_disarmed_listed_and_armed_from_the_command_line(open_gate):
    gate = await open_gate(policy=POLICY, admin=ADMIN)
    assert (await gate.ask(gate.post())).status == 403
    code, told = await gauger(gate, "disarm", "closed", "--why", "it refuses a hospital")
    assert (code, told.split(":")[0]) == (0, "closed is disarmed")
    assert (await gate.ask(gate.post())).status == 200
    code, told = await gauger(gate, "rules")
    assert code == 0
    assert "disarmed by otto since 20" in told
    assert "it refuses a hospital" in told
    code, told = await gauger(gate, "arm", "closed", "--why", "mended")
    assert (code, told[:15]) == (0, "closed is armed")
    assert (await gate.ask(gate.post())).status == 403
    assert (await gate.last("admin"))["why"] == "mended"


async def test_what_the_gateway_refuses_is_told_and_fails(open_gate):
    gate = await open_gate(policy=POLICY, admin=ADMIN)
    assert await gauger(gate, "disarm", "closd", "--why", "x") == (
        1,
        'there is no rule "closd" (did you mean "closed"?)\n',
    )
    code, told = await gauger(gate, "rules", token="nobody")
    assert code == 1
    assert "does not know this token" in told
