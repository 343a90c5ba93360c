import gzip
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model.exchange import BadRequest
from proxy.wire.encoding import decode_body

BODY = b'{"model":"m","messages":[]}' * 5


def raw_deflate(data):
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


ENCODERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


def decode(data, coding, max_bytes=1_000_000, max_ratio=100):
    return decode_body(data, coding, max_bytes=max_bytes, max_ratio=max_ratio)


@pytest.mark.parametrize("coding", ENCODERS)
def test_each_coding_is_decoded(coding):
    assert decode(ENCODERS[coding](BODY), coding) == BODY
    assert decode(ENCODERS[coding](b""), f" {coding.upper()} ") == b""


@pytest.mark.parametrize("coding", [None, "", "identity", "Identity"])
def test_a_body_without_coding_is_left_alone(coding):
    assert decode(BODY, coding) == BODY


def test_bare_deflate_data_is_read_as_well():
    assert decode(raw_deflate(BODY), "deflate") == BODY


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_several_members_are_one_body(coding):
    encode = ENCODERS[coding]
    assert decode(encode(BODY) + encode(b"") + encode(BODY), coding) == BODY * 2


def test_a_skippable_zstd_frame_adds_nothing():
    skippable = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"abcd"
    assert decode(ENCODERS["zstd"](BODY) + skippable, "zstd") == BODY


@pytest.mark.parametrize("coding", ENCODERS)
@pytest.mark.parametrize("cut", [0, 1, 5, -1])
def test_a_body_that_is_cut_short_is_refused(coding, cut):
    refused = decode(ENCODERS[coding](BODY)[:cut], coding)
    assert isinstance(refused, BadRequest)
    assert refused.status == 400
    assert coding in refused.message


@pytest.mark.parametrize("coding", ENCODERS)
def test_junk_behind_the_end_is_refused(coding):
    refused = decode(ENCODERS[coding](BODY) + b"junk", coding)
    assert isinstance(refused, BadRequest)
    assert refused.status == 400


@pytest.mark.parametrize("coding", ENCODERS)
def test_data_that_is_not_compressed_at_all_is_refused(coding):
    refused = decode(BODY, coding)
    assert isinstance(refused, BadRequest)
    assert refused.status == 400


@pytest.mark.parametrize("coding", [*ENCODERS, "identity"])
def test_a_body_is_allowed_up_to_its_largest_size_and_not_above(coding):
    encode = ENCODERS.get(coding, bytes)
    assert decode(encode(b"x" * 1000), coding, max_bytes=1000) == b"x" * 1000
    refused = decode(encode(b"x" * 1001), coding, max_bytes=1000)
    assert isinstance(refused, BadRequest)
    assert refused.status == 413
    assert "1000 bytes" in refused.message


@pytest.mark.parametrize("coding", ENCODERS)
def test_a_bomb_is_refused_by_its_ratio(coding):
    bomb = ENCODERS[coding](b"\0" * 3_000_000)
    refused = decode(bomb, coding, max_bytes=100_000_000, max_ratio=10)
    assert isinstance(refused, BadRequest)
    assert refused.status == 413
    assert "10 times" in refused.message


@pytest.mark.parametrize("coding", ENCODERS)
def test_a_small_repetitive_body_is_no_bomb(coding):
    body = b"a" * 60_000
    assert decode(ENCODERS[coding](body), coding, max_ratio=2) == body


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_endless_empty_members_are_refused(coding):
    refused = decode(ENCODERS[coding](b"") * 1000, coding)
    assert isinstance(refused, BadRequest)
    assert refused.status == 400


@pytest.mark.parametrize("coding", ["gzip, br", "gzip,gzip", "compress", "snappy", "x" * 500])
def test_several_or_unknown_codings_are_not_supported(coding):
    refused = decode(BODY, coding)
    assert isinstance(refused, BadRequest)
    assert refused.status == 415
    assert len(refused.message) < 200


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(ENCODERS)), st.binary(max_size=200), st.data())
def test_damaged_data_never_gives_anything_but_bytes_or_a_refusal(coding, body, data):
    encoded = bytearray(ENCODERS[coding](body))
    position = data.draw(st.integers(0, len(encoded) - 1))
    encoded[position] ^= data.draw(st.integers(1, 255))
    assert isinstance(decode(bytes(encoded), coding, max_bytes=10_000), (bytes, BadRequest))
