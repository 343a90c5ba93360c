"""What a gateway decided is explained from its log as it stands, while it serves."""

import pytest

from proxy.trial.sources import explain_record

pytestmark = pytest.mark.asyncio(loop_scope="session")

POLICY = """
quotas:
  - {id: one-request, match: {tiers: [spent]}, mode: enforce, limit: {requests: 1}, window: 1w}
access:
  - {id: closed, match: {models: [m-closed]}, mode: enforce, then: deny}
"""


async def test_a_record_of_a_serving_gateway_is_judged_again_by_the_set_that_it_archived(
    open_gate, emulator
):
    gate = await open_gate(url=emulator.url, policy=POLICY)
    key = gate.key("spent")
    for _ in range(2):
        await gate.ask(gate.post(key=key))
    await gate.ask(gate.post(b'{"model":"m-closed","messages":[]}'))
    decided = await gate.records("decision")
    found = [explain_record(gate.directory / "gauger.yaml", one.id, {}) for one in decided]
    assert [one.again.differs for one in found] == [(), (), ()]
    decisions = [one.again.explanation.decided for one in found]
    assert [(one.verdict, one.by) for one in decisions] == [
        ("allow", ()),
        ("throttle", ("one-request",)),
        ("deny", ("closed",)),
    ]
    assert found[0].completion is not None
    assert found[0].account == found[1].account
    assert None not in {one.account for one in found}
