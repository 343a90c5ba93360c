import hashlib
import json

import pytest

from proxy.audit.errors import BadRecord
from proxy.audit.format import (
    MAX_LINE_BYTES,
    SLOT_BYTES,
    Chain,
    Head,
    decode_head,
    encode_head,
    segment_name,
)
from proxy.model.record import Record


def test_a_line_is_one_json_object_whose_hash_covers_the_previous_hash_and_all_before_it(record):
    chain = Chain()
    previous = "0" * 64
    for number in range(3):
        line = chain.line(record(number))
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        head = line[: line.rindex(b',"hash":"')]
        members = json.loads(line)
        assert list(members)[:4] == ["seq", "type", "id", "at_ns"]
        assert list(members)[-1] == "hash"
        assert members["seq"] == number + 1
        assert members["hash"] == hashlib.sha256(previous.encode() + head).hexdigest()
        previous = members["hash"]


@pytest.mark.parametrize("name", ["seq", "type", "id", "at_ns", "hash", "digest"])
def test_a_record_may_not_use_a_name_of_the_log_itself(name):
    with pytest.raises(BadRecord, match=f"ex: the names {name} belong to the log"):
        Chain().line(Record("decision", "ex", 1, {name: 1}))


@pytest.mark.parametrize(
    "value", [object(), "\ud800", {("a",): 1}], ids=["object", "surrogate", "key"]
)
def test_a_record_that_is_not_json_is_refused_and_takes_no_place(value, record):
    chain = Chain()
    with pytest.raises(BadRecord, match="record ex is not JSON"):
        chain.line(Record("decision", "ex", 1, {"value": value}))
    assert chain.line(record(1)) == Chain().line(record(1))


def test_a_record_nested_too_deeply_is_refused():
    deep = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(BadRecord, match="not JSON"):
        Chain().line(Record("decision", "ex", 1, {"value": deep}))


def test_a_record_longer_than_a_line_may_be_is_refused_and_takes_no_place():
    chain = Chain()
    with pytest.raises(BadRecord, match=f"a line may have {MAX_LINE_BYTES}"):
        chain.line(Record("decision", "ex", 1, {"value": "x" * MAX_LINE_BYTES}))
    assert chain.seq == 0


def test_a_digest_line_holds_the_hash_of_what_the_full_line_would_have_had(record):
    full, digests = Chain(), Chain(digests=True)
    for number in range(2):
        head = full.line(record(number)).rpartition(b',"hash":"')[0]
        line = json.loads(digests.line(record(number)))
        assert list(line) == ["seq", "type", "digest", "hash"]
        if number == 0:
            assert line["digest"] == hashlib.sha256(head).hexdigest()


def test_a_digest_does_not_depend_on_the_chain_before_it(record):
    chain, other = Chain(digests=True), Chain(digests=True)
    chain.line(record(1))
    other.line(record(2))
    first, second = json.loads(chain.line(record(3))), json.loads(other.line(record(3)))
    assert first["digest"] == second["digest"]
    assert first["hash"] != second["hash"]


def test_a_head_survives_a_torn_write_of_either_slot():
    old = encode_head(Head(7, b"a" * 64, segment_name(1)))
    new = encode_head(Head(9, b"b" * 64, segment_name(1)))
    assert len(new) == SLOT_BYTES
    assert decode_head(old + new) == Head(9, b"b" * 64, segment_name(1))
    assert decode_head(new + old) == decode_head(old + new)
    for cut in range(1, 180):
        mixed = new[:cut] + old[cut:]
        assert decode_head(old + mixed).seq in {7, 9}
        assert decode_head(mixed + old) in {decode_head(old), decode_head(new)}
    assert decode_head(b"\0" * 512) is None
    assert decode_head(b"") is None
