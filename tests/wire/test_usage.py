import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model.exchange import Dialect
from proxy.model.usage import Usage
from proxy.wire.usage import heard, merged, normalized, with_images


def test_openai_cached_tokens_are_a_part_of_the_prompt():
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 30},
    }
    assert normalized(Dialect.OPENAI, usage) == Usage(100, 80, 5, 50, 30)


def test_openai_responses_name_them_input_and_output():
    usage = {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 2},
    }
    assert normalized(Dialect.OPENAI, usage) == Usage(10, 4, 0, 7, 2)


def test_embeddings_use_no_output():
    assert normalized(Dialect.OPENAI, {"prompt_tokens": 8, "total_tokens": 8}) == Usage(8)


def test_anthropic_input_is_the_sum_of_its_three_counts():
    usage = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 200,
        "cache_read_input_tokens": 3000,
        "output_tokens": 40,
        "output_tokens_details": {"thinking_tokens": 15},
    }
    assert normalized(Dialect.ANTHROPIC, usage) == Usage(3210, 3000, 200, 40, 15)


def test_anthropic_cache_counts_may_be_null():
    usage = {"input_tokens": 1, "cache_read_input_tokens": None, "output_tokens": 2}
    assert normalized(Dialect.ANTHROPIC, usage) == Usage(1, 0, 0, 2, 0)


def test_later_anthropic_reports_replace_what_they_name():
    start = merged({}, {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 1})
    later = merged(start, {"output_tokens": 30, "input_tokens": None})
    assert normalized(Dialect.ANTHROPIC, later) == Usage(15, 5, 0, 30, 0)
    assert merged(later, "nonsense") == later


@pytest.mark.parametrize("bad", [-1, 1.5, "7", None, True, 10**30, [], {}])
def test_a_usage_whose_main_counts_cannot_be_is_no_usage(bad):
    assert normalized(Dialect.OPENAI, {"prompt_tokens": bad, "completion_tokens": 1}) is None
    assert normalized(Dialect.OPENAI, {"prompt_tokens": 1, "completion_tokens": bad}) is None
    assert normalized(Dialect.OPENAI, {"input_tokens": bad}) is None
    assert normalized(Dialect.ANTHROPIC, {"input_tokens": bad, "output_tokens": 1}) is None
    assert normalized(Dialect.ANTHROPIC, {"input_tokens": 1, "output_tokens": bad}) is None


@pytest.mark.parametrize("bad", [-1, 1.5, "7", None, True, 10**30, [], {}])
def test_parts_that_cannot_be_are_left_out(bad):
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": bad},
        "completion_tokens_details": bad,
    }
    assert normalized(Dialect.OPENAI, usage) == Usage(10, 0, 0, 5, 0)


def test_a_part_is_never_more_than_its_whole():
    usage = {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 99}}
    assert normalized(Dialect.OPENAI, usage) == Usage(10, 10)


@pytest.mark.parametrize("seconds", [0, 3, 2.5])
def test_a_duration_is_a_usage_of_seconds(seconds):
    usage = {"type": "duration", "seconds": seconds}
    assert normalized(Dialect.OPENAI, usage) == Usage(seconds=seconds)
    assert heard(str(seconds)) == Usage(seconds=seconds)


@pytest.mark.parametrize("bad", [-1, None, True, 10**400, 1e9, float("nan"), "x", "nan", [], {}])
def test_a_duration_that_cannot_be_is_no_usage(bad):
    assert normalized(Dialect.OPENAI, {"type": "duration", "seconds": bad}) is None


def test_tokens_of_a_recording_are_tokens():
    usage = {"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59}
    assert normalized(Dialect.OPENAI, usage) == Usage(14, 0, 0, 45)


@pytest.mark.parametrize(
    ("data", "images"), [(b"[{},{}]", 2), (b"[]", 0), (b"", 0), (b"7", 0), (b'"x"', 0)]
)
def test_images_are_counted_with_what_else_was_used(data, images):
    assert with_images(Usage(5), msgspec.Raw(data)) == Usage(5, images=images)
    wanted = Usage(images=images) if images else None
    assert with_images(None, msgspec.Raw(data)) == wanted


def test_usages_add_up_field_by_field():
    assert Usage(1, 2, 3, 4, 5, 6, 0.5) + Usage(10, 20, 30, 40, 50, 60, 1) == Usage(
        11, 22, 33, 44, 55, 66, 1.5
    )


@pytest.mark.parametrize("usage", [None, 5, "x", [], {}])
def test_what_is_no_usage_is_none(usage):
    for dialect in Dialect:
        assert normalized(dialect, usage) is None


NAMES = st.sampled_from(
    [
        "prompt_tokens",
        "completion_tokens",
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "prompt_tokens_details",
    ]
)
JUNK = st.none() | st.integers() | st.floats() | st.text(max_size=3) | st.just({"cached_tokens": 3})


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(Dialect), st.dictionaries(NAMES, JUNK, max_size=6))
def test_whatever_an_upstream_reports_the_parts_fit_into_the_whole(dialect, usage):
    for found in (normalized(dialect, usage), normalized(dialect, merged({}, usage))):
        if found is not None:
            assert 0 <= found.cached_tokens + found.cache_written_tokens <= 2 * found.input_tokens
            assert 0 <= found.reasoning_tokens <= found.output_tokens
