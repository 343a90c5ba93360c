"""Batches in a recording: counted by their lines, at their submission."""

import json

import pytest

from proxy.replay import Session
from tests.replay.conftest import NOON, line

POLICY = """
quotas:
  - id: hourly
    mode: enforce
    limit: {requests: 10}
    window: 1h
"""
CHAT = "/v1/chat/completions"
FORM = (
    '--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    '--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{}\r\n--b--\r\n'
)


def requests(count: int) -> str:
    body = {"model": "m-small", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
    entries = (
        {"custom_id": str(n), "method": "POST", "url": CHAT, "body": body} for n in range(count)
    )
    return "\n".join(map(json.dumps, entries)) + "\n"


def upload(number: int, name: str, count: int, *, form: bool = False) -> dict:
    sent = line(number, NOON + number, name, path="/v1/files", body=None, body_text=requests(count))
    if form:
        sent["headers"].append(["Content-Type", "multipart/form-data; boundary=b"])
        sent["body_text"] = FORM.format(sent["body_text"])
    return sent


def submission(number: int, name: str, file: str) -> dict:
    order = {"input_file_id": file, "endpoint": CHAT, "completion_window": "24h"}
    return line(number, NOON + number, name, path="/v1/batches", body=order)


@pytest.mark.parametrize("form", [False, True])
def test_a_batch_counts_as_the_lines_of_its_file(world, form):
    with Session(world(POLICY)) as session:
        session.exchange(upload(1, "a1", 6, form=form))
        first = session.exchange(submission(2, "a1", "file-1"))
        again = session.exchange(submission(3, "a1", "file-1"))
        summary = session.summary.as_dict()
    assert (first["verdict"], again["verdict"]) == ("allow", "throttle")
    assert "6 asked for" in again["rules"][0]["why"]
    assert summary["batches_unknown"] == 0


def test_files_are_submitted_in_the_order_of_their_upload_each_by_its_own_account(world):
    with Session(world(POLICY)) as session:
        for number, (name, count) in enumerate((("a1", 4), ("a2", 9), ("a1", 7))):
            session.exchange(upload(number, name, count))
        decided = [
            session.exchange(submission(10 + number, name, file))
            for number, (name, file) in enumerate((("a1", "f-a"), ("a1", "f-b"), ("a2", "f-c")))
        ]
    assert [one["verdict"] for one in decided] == ["allow", "throttle", "allow"]


def test_a_file_of_before_the_recording_counts_as_one_request_and_is_told(world):
    with Session(world(POLICY)) as session:
        decided = [session.exchange(submission(number, "a1", "file-9")) for number in range(3)]
        summary = session.summary.as_dict()
    assert {one["verdict"] for one in decided} == {"allow"}
    assert summary["batches_unknown"] == 3


def test_a_file_with_lines_that_cannot_be_read_is_refused_as_the_gateway_would(world):
    with Session(world(POLICY)) as session:
        session.exchange(upload(1, "a1", 2) | {"body_text": requests(2) + "{nonsense\n"})
        decided = session.exchange(submission(2, "a1", "file-1"))
    assert (decided["verdict"], decided["status"]) == ("deny", 400)
    assert decided["answer"]["body"]["error"]["message"].startswith("Line 3 of the input file")


def test_what_a_batch_took_stays_counted_after_its_submission_was_answered(world):
    policy = POLICY.replace("{requests: 10}", "{output_tokens: 100}")
    with Session(world(policy)) as session:
        session.exchange(upload(1, "a1", 6))
        session.exchange(submission(2, "a1", "file-1"))
        session.advance(NOON + 60)
        refused = session.exchange(line(9, NOON + 61, "a1"))
    assert refused["verdict"] == "throttle"
    assert "60 used" in refused["rules"][0]["why"]
