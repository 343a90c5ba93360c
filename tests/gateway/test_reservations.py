"""Reservations over the real SDKs: topped up while an answer grows, settled exactly, never leaked.

A tier of accounts is governed by the quota of its name. One word of the emulated model is one token
of output, by its own count; what Gauger charges where no usage comes is its own estimate.
"""

import asyncio
import itertools
import json
import math
import time

import anthropic
import openai
import pytest
import pytest_asyncio

from proxy.demo.emulator import Emulator
from proxy.demo.upstream.sending import Timing
from tests.gateway.conftest import UPSTREAM_KEY, account_line, eventually, opened, write_world

pytestmark = pytest.mark.asyncio(loop_scope="session")

POLICY = """
prices:
  - {models: ["*"], input: 2, cached: 0.5, cache_written: 2.5, output: 8, reasoning: 12}
quotas:
  - {id: grows, match: {tiers: [grows]}, mode: enforce, window: 1w, assume_output_tokens: 40,
     limit: {requests: 100, tokens: 100000, output_tokens: 90000, concurrent: 5}}
  - {id: soft, match: {tiers: [soft]}, mode: enforce, window: 1w, assume_output_tokens: 40,
     limit: {output_tokens: 100}}
  - {id: hard, match: {tiers: [hard, both]}, mode: enforce, window: 1w, hard: true,
     assume_output_tokens: 8, limit: {output_tokens: 60}}
  - {id: pair, match: {tiers: [pair]}, mode: enforce, window: 1w, hard: true,
     assume_output_tokens: 8, limit: {output_tokens: 700}}
  - {id: both, match: {tiers: [both]}, mode: enforce, window: 1w, assume_output_tokens: 8,
     limit: {output_tokens: 20}}
  - {id: few, match: {tiers: [few]}, mode: enforce, window: 1w, hard: true,
     assume_output_tokens: 4, limit: {output_tokens: 9}}
  - {id: clamp, match: {tiers: [clamp]}, mode: enforce, window: 1w, clamp: 16,
     limit: {output_tokens: 30}}
  - {id: slots, match: {tiers: [slots]}, mode: enforce, window: 1w,
     limit: {concurrent: 2, output_tokens: 100000}}
  - {id: money, match: {tiers: [money]}, mode: enforce, window: 1w, limit: {cost: 5}}
  - {id: net, match: {tiers: [net]}, mode: enforce, window: 1w,
     limit: {requests: 10, tokens: 1000}}
  - {id: bucket, match: {tiers: [bucket]}, mode: enforce, window: 1s, algorithm: gcra,
     limit: {requests: 4}, burst: 2}
  - {id: slides, match: {tiers: [slides]}, mode: enforce, window: 1s, algorithm: rolling,
     limit: {requests: 2}}
  - {id: once, match: {tiers: [once]}, mode: enforce, window: lifetime, limit: {requests: 1}}
"""
TIERS = (
    *("grows", "soft", "hard", "pair", "both", "few", "clamp"),
    *("slots", "money", "net", "bucket", "slides", "once"),
)
EACH = 24
NEW = {tier: itertools.count() for tier in TIERS}
HI = [{"role": "user", "content": "Say a few words."}]
STREAMS = {"stream": True, "messages": HI}


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def api():
    emulator = Emulator(key=UPSTREAM_KEY, timing=Timing(slow_s=0.002))
    await emulator.start()
    yield emulator
    await emulator.stop()


def world(directory, url, **over):
    write_world(directory, url, policy=POLICY, **over)
    keys = [(f"sk-{tier}-{n}", tier) for tier in TIERS for n in range(EACH)]
    lines = [account_line(key, tier) for key, tier in keys]
    (directory / "accounts.jsonl").write_text("\n".join(lines) + "\n")
    return directory


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def gate(tmp_path_factory, _upstream, api, _environment):
    directory = world(tmp_path_factory.mktemp("reservations") / "world", api.url)
    async with opened(directory, _upstream) as one:
        yield one
        one.hang_up()


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def http():
    async with openai.DefaultAsyncHttpxClient() as one:
        yield one


class Caller:
    """An account that nobody has used, with both SDKs and what is counted for it."""

    def __init__(self, gate, http, tier):
        self.gate = gate
        self.key = f"sk-{tier}-{next(NEW[tier]) % EACH}"
        self.base = f"http://{gate.server.address}"
        given = {"api_key": self.key, "max_retries": 0, "http_client": http}
        self.openai = openai.AsyncOpenAI(base_url=f"{self.base}/v1", **given)
        self.anthropic = anthropic.AsyncAnthropic(base_url=self.base, **given)

    async def chat(self, model="m-small", **more):
        return await self.openai.chat.completions.create(model=model, **(STREAMS | more))

    def counts(self):
        """What is counted, by rule and unit."""
        account, found = self.key.replace("sk-", "acc-"), {}
        windows = self.gate.server.gateway.store.memory.fixed.values()
        for counter, n in (item for window in windows for part in window for item in part.items()):
            rule, unit, subject, _ = counter.split("|")
            if subject == f"account.id={account}":
                found[f"{rule}.{unit}"] = n
        return found

    def slots(self):
        """Leases that are held."""
        held = self.gate.server.gateway.store.memory._leases._held
        account = self.key.replace("sk-", "acc-")
        return sum(len(one) for name, one in held.items() if f"account.id={account}|" in name)

    async def settled(self):
        """What is counted once nothing is under way."""
        await self.gate.idle()
        assert self.slots() == 0
        return self.counts()


@pytest.fixture
def caller(gate, http):
    def new(tier):
        return Caller(gate, http, tier)

    return new


async def drained(stream):
    """All chunks of a stream."""
    return [chunk async for chunk in stream]


def text_of(chunks):
    return "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)


# -- top-ups -------------------------------------------------------------------------------------


async def test_a_stream_beyond_its_reservation_is_topped_up_and_charged_what_was_reported(
    caller, monkeypatch
):
    one = caller("grows")
    seen = []
    store = one.gate.server.gateway.store
    take = store.take

    async def watched(plan):
        given = await take(plan)
        seen.append((plan.id, one.counts()["grows.output_tokens"]))
        return given

    monkeypatch.setattr(store, "take", watched)
    usage = {"include_usage": True}
    chunks = await drained(await one.chat("words-900", stream_options=usage))
    said = chunks[-1].usage
    assert said.completion_tokens == 900
    ids = [id_ for id_, _ in seen]
    assert [id_.partition("+")[2] for id_ in ids[:5]] == ["", "1", "2", "3", "4"]
    assert [reserved for _, reserved in seen[:5]] == [40, 296, 552, 808, 1064]
    assert len(ids) <= 6  # no more than one step ahead
    assert await one.settled() == {
        "grows.requests": 1,
        "grows.tokens": said.total_tokens,
        "grows.output_tokens": 900,
    }


@pytest.mark.parametrize("words", [1, 39, 40, 300])
async def test_all_that_was_topped_up_is_given_back_whatever_the_length(caller, words):
    one = caller("grows")
    chunks = await drained(await one.chat(f"words-{words}"))
    assert len(text_of(chunks).split()) == words
    assert (await one.settled())["grows.output_tokens"] == words


async def test_a_limit_that_is_not_hard_lets_the_stream_go_on_and_counts_it_as_it_goes(caller):
    one = caller("soft")
    stream = await one.chat("words-600")
    chunks = [await anext(stream)]
    await eventually(lambda: one.counts()["soft.output_tokens"] > 100)
    chunks += await drained(stream)
    assert len(text_of(chunks).split()) == 600
    assert (await one.settled())["soft.output_tokens"] == 600
    with pytest.raises(openai.RateLimitError):
        await one.chat()


# -- hard limits ---------------------------------------------------------------------------------


async def test_a_chat_ends_at_a_hard_limit_as_at_its_max_tokens(caller):
    one = caller("hard")
    chunks = await drained(await one.chat("words-500"))
    assert chunks[-1].choices[0].finish_reason == "length"
    used = (await one.settled())["hard.output_tokens"]
    assert 55 <= used <= 60 + 1  # of the event that reached the limit
    assert 0.5 < len(text_of(chunks).split()) / used < 1.5  # the estimate of a text of words


async def test_a_completion_ends_at_a_hard_limit(caller):
    one = caller("few")
    stream = await one.openai.completions.create(model="words-500", prompt="Go on.", stream=True)
    chunks = await drained(stream)
    assert chunks[-1].choices[0].finish_reason == "length"
    assert (await one.settled())["few.output_tokens"] <= 9 + 1


async def test_a_response_ends_at_a_hard_limit_as_incomplete(caller):
    one = caller("hard")
    stream = await one.openai.responses.create(model="words-500", input="Go on.", stream=True)
    last = (await drained(stream))[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details.reason == "max_output_tokens"
    assert last.response.output_text
    assert (await one.settled())["hard.output_tokens"] <= 60 + 1


async def test_a_message_ends_at_a_hard_limit(tmp_path, upstream, http):
    """The real API wants a max_tokens, which is reserved as a whole; this one knows better."""

    async def answer(call):
        await call.stream()
        start = b'{"type":"message_start","message":{"id":"m","type":"message","role":"assistant"'
        start += b',"model":"m","content":[],"usage":{"input_tokens":7,"output_tokens":1}}}'
        await call.chunk(b"event: message_start\ndata: " + start + b"\n\n")
        block = b'"index":0,"content_block":{"type":"text","text":""}}\n\n'
        await call.chunk(b'data: {"type":"content_block_start",' + block)
        delta = b'"index":0,"delta":{"type":"text_delta","text":" malt"}}\n\n'
        event = b'event: content_block_delta\ndata: {"type":"content_block_delta",' + delta
        for _ in range(300):
            await call.chunk(event)
        await call.ended()
        call.close()

    upstream.answer = answer
    async with opened(world(tmp_path / "world", upstream.url), upstream) as gate:
        one = Caller(gate, http, "hard")
        omit = anthropic.omit
        stream = await one.anthropic.messages.create(
            model="m", messages=HI, max_tokens=omit, stream=True
        )
        events = await drained(stream)
        assert [event.type for event in events[-3:]] == [
            *("content_block_stop", "message_delta", "message_stop"),
        ]
        assert events[-2].delta.stop_reason == "max_tokens"
        used = (await one.settled())["hard.output_tokens"]
        assert used == events[-2].usage.output_tokens
        assert 55 <= used <= 60 + 1


async def test_an_answer_that_comes_whole_is_bounded_beforehand(caller, api):
    one = caller("hard")
    got = await one.chat("words-500", stream=False)
    assert got.choices[0].finish_reason == "length"
    assert got.usage.completion_tokens <= 60
    assert (await one.settled())["hard.output_tokens"] == got.usage.completion_tokens


async def test_two_streams_under_one_hard_limit_do_not_pass_it_together(caller):
    one = caller("pair")
    streams = [await one.chat("words-600") for _ in range(2)]
    ends = await asyncio.gather(*(drained(stream) for stream in streams))
    finished = [chunks[-1].choices[0].finish_reason for chunks in ends]
    assert "length" in finished
    assert 600 <= (await one.settled())["pair.output_tokens"] <= 700 + 2 * 1


async def test_a_hard_limit_is_not_reached_by_way_of_another_that_is_not(caller):
    """The other one lets the stream go on, and refuses whoever comes next."""
    one = caller("both")
    chunks = await drained(await one.chat("words-50"))
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert await one.settled() == {"hard.output_tokens": 50, "both.output_tokens": 50}
    with pytest.raises(openai.RateLimitError):
        await one.chat()


# -- clamp ---------------------------------------------------------------------------------------


def sent_limits(api):
    """What the last request asked for at the model API, of the fields that bound an output."""
    body = json.loads(api.seen[-1].body)
    return {name: body[name] for name in body if name.startswith("max_")}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens", ""])
async def test_a_chat_is_clamped_to_what_is_left(caller, api, field, stream):
    one = caller("clamp")
    asked = {field: 5000} if field else {}
    got = await one.chat("words-99", stream=stream, **asked)
    chunks = await drained(got) if stream else [got]
    assert sent_limits(api) == {field or "max_completion_tokens": 30}
    assert chunks[-1].choices[0].finish_reason == "length"
    assert await one.settled() == {"clamp.output_tokens": 30}


async def test_a_completion_is_clamped(caller, api):
    one = caller("clamp")
    given = {"model": "words-99", "prompt": "Go on."}
    got = await one.openai.completions.create(max_tokens=500, **given)
    assert sent_limits(api) == {"max_tokens": 30}
    assert got.choices[0].finish_reason == "length"
    assert await one.settled() == {"clamp.output_tokens": 30}


async def test_a_response_is_clamped(caller, api):
    one = caller("clamp")
    got = await one.openai.responses.create(model="words-99", input="Hi", max_output_tokens=500)
    assert sent_limits(api) == {"max_output_tokens": 30}
    assert got.incomplete_details.reason == "max_output_tokens"
    assert await one.settled() == {"clamp.output_tokens": 30}


async def test_a_message_is_clamped(caller, api):
    one = caller("clamp")
    given = {"model": "words-99", "messages": HI}
    async with one.anthropic.messages.stream(max_tokens=500, **given) as stream:
        got = await stream.get_final_message()
    assert sent_limits(api) == {"max_tokens": 30}
    assert got.stop_reason == "max_tokens"
    assert await one.settled() == {"clamp.output_tokens": 30}


async def test_each_of_several_choices_is_clamped_to_its_share(caller, api):
    one = caller("clamp")
    limit = {"max_tokens": 5000}
    with pytest.raises(openai.RateLimitError):  # a share of 16 each is more than there is
        await one.chat("words-99", n=2, stream=False, **limit)
    got = await one.chat("words-99", n=1, stream=False, max_tokens=14)
    assert got.usage.completion_tokens == 14
    assert await one.settled() == {"clamp.output_tokens": 14}
    got = await one.chat("words-99", n=1, stream=False, **limit)
    assert sent_limits(api) == {"max_tokens": 16}
    assert await one.settled() == {"clamp.output_tokens": 30}
    with pytest.raises(openai.RateLimitError):
        await one.chat("words-99", n=1, stream=False, **limit)


# -- slots ---------------------------------------------------------------------------------------


async def test_a_slot_is_held_while_a_stream_lasts_and_no_longer(caller):
    one = caller("slots")
    first, second = await one.chat("fault-slow"), await one.chat("fault-slow")
    assert one.slots() == 2
    with pytest.raises(openai.RateLimitError) as refused:
        await one.chat("fault-slow")
    assert refused.value.response.headers["retry-after"] == "1"
    assert 'qu="concurrent-requests"' in refused.value.response.headers["ratelimit-policy"]
    await drained(first)
    await eventually(lambda: one.slots() == 1)
    await drained(await one.chat("words-3"))
    await drained(second)
    await one.settled()


async def test_a_slot_is_free_after_a_client_that_left_in_the_middle(caller, api):
    one = caller("slots")
    stream = await one.chat("fault-idle")
    delivered = text_of([await anext(stream) for _ in range(4)])
    await stream.close()
    used = (await one.settled())["slots.output_tokens"]
    assert 0 < used < 1024
    assert delivered


async def test_whoever_leaves_before_an_answer_pays_for_the_time_that_the_model_had(caller):
    one = caller("slots")
    asked = asyncio.create_task(one.chat("fault-silent", stream=False, max_tokens=1000))
    await eventually(lambda: one.slots() == 1)
    began_s = time.monotonic()
    await asyncio.sleep(0.1)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    used = (await one.settled())["slots.output_tokens"]
    assert 9 <= used <= 100 * (time.monotonic() - began_s + 0.1)


async def test_whoever_leaves_pays_no_more_than_was_reserved(caller):
    one = caller("slots")
    asked = asyncio.create_task(one.chat("fault-silent", stream=False, max_tokens=3))
    await asyncio.sleep(0.1)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert await one.settled() == {"slots.output_tokens": 3}


async def test_whoever_leaves_a_stream_before_its_first_byte_pays_for_no_output(caller):
    one = caller("slots")
    asked = asyncio.create_task(one.chat("fault-silent"))
    await eventually(lambda: one.slots() == 1)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert await one.settled() == {"slots.output_tokens": 0}


@pytest.mark.parametrize("model", ["fault-429", "fault-500", "fault-reset"])
async def test_what_the_upstream_refuses_gives_its_slot_and_its_tokens_back(caller, model):
    one = caller("slots")
    with pytest.raises(openai.APIStatusError):
        await one.chat(model)
    assert await one.settled() == {"slots.output_tokens": 0}


@pytest.mark.parametrize("model", ["fault-reset-mid", "fault-truncated", "fault-event"])
async def test_what_the_upstream_breaks_off_is_charged_what_was_delivered(caller, model):
    one = caller("slots")
    with pytest.raises(openai.APIError):
        await drained(await one.chat(model))
    assert 0 < (await one.settled())["slots.output_tokens"] < 40


async def test_a_slot_is_free_after_a_stop(tmp_path, upstream, api, http):
    over = {"server": {"drain_s": 0.05}}
    async with opened(world(tmp_path / "world", api.url, **over), upstream) as gate:
        one = Caller(gate, http, "slots")
        stream = await one.chat("fault-idle")
        await anext(stream)
        await gate.server.drain(asyncio.Event())
        stopping = asyncio.create_task(gate.server.close())
        with pytest.raises(openai.APIError, match="restarting"):
            await drained(stream)
        await stopping
        assert 0 < (await one.settled())["slots.output_tokens"] < 40


# -- money ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["m-small", "m-cached", "m-reason", "m-cached-reason"])
async def test_cost_settles_to_the_price_of_what_was_reported(caller, model):
    one = caller("money")
    text = "barley " * 300
    got = await one.chat(model, stream=False, messages=[{"role": "user", "content": text}])
    used = got.usage
    cached = used.prompt_tokens_details.cached_tokens
    thought = used.completion_tokens_details.reasoning_tokens
    assert (cached > 0, thought > 0) == ("cached" in model, "reason" in model)
    plain = 2 * (used.prompt_tokens - cached) + 8 * (used.completion_tokens - thought)
    assert await one.settled() == {"money.cost": math.ceil(plain + 0.5 * cached + 12 * thought)}


async def test_the_cost_of_a_message_counts_what_was_written_to_the_cache(caller):
    one = caller("money")
    given = {"model": "m-cached-reason", "max_tokens": 500}
    text = "barley " * 300
    async with one.anthropic.messages.stream(
        messages=[{"role": "user", "content": text}], **given
    ) as stream:
        used = (await stream.get_final_message()).usage
    assert used.cache_creation_input_tokens > 0
    read, written = used.cache_read_input_tokens, used.cache_creation_input_tokens
    thought = used.output_tokens_details.thinking_tokens
    cost = 2 * used.input_tokens + 0.5 * read + 2.5 * written
    cost += 8 * (used.output_tokens - thought) + 12 * thought
    assert await one.settled() == {"money.cost": math.ceil(cost)}


# -- what is told --------------------------------------------------------------------------------


async def told(one, **asked):
    """The raw answer to a chat: its status and fields."""
    try:
        raw = await one.openai.chat.completions.with_raw_response.create(
            model="words-5", messages=HI, **asked
        )
    except openai.RateLimitError as refused:
        return refused.response
    return raw.http_response


async def test_limits_are_told_net_of_what_is_reserved(caller):
    one = caller("net")
    first = (await told(one, max_tokens=600)).headers
    reserved = 1000 - int(first["x-ratelimit-remaining-tokens"])
    assert 600 < reserved < 620
    assert first["x-ratelimit-remaining-requests"] == "9"
    used = (await one.settled())["net.tokens"]
    assert used < 30
    open_stream = await one.chat("fault-idle", max_tokens=700)
    held = one.counts()["net.tokens"] - used
    assert 700 < held < 720
    refused = await told(one, max_tokens=600)
    assert refused.status_code == 429
    assert refused.headers["x-ratelimit-remaining-tokens"] == str(1000 - used - held)
    assert f"r={1000 - used - held};" in refused.headers["ratelimit"]
    assert refused.headers["x-ratelimit-remaining-requests"] == "8"
    await open_stream.close()
    await one.settled()


@pytest.mark.parametrize("tier", ["bucket", "slides"])
async def test_whoever_waits_as_told_is_let_in_and_whoever_comes_before_is_not(caller, tier):
    one = caller(tier)
    for _ in range(2):
        assert (await told(one)).status_code == 200
    refused = await told(one)
    assert refused.status_code == 429
    left_ms = int(refused.headers["retry-after-ms"])
    asked_s = time.monotonic()
    assert int(refused.headers["retry-after"]) == 1
    assert 0 < left_ms <= (250 if tier == "bucket" else 1034)  # of which one part in sixty too many
    await asyncio.sleep(left_ms / 2000)
    assert (await told(one)).status_code == 429
    await asyncio.sleep(max(0.0, asked_s + left_ms / 1000 - time.monotonic()))
    assert (await told(one)).status_code == 200


async def test_a_budget_that_never_comes_back_is_said_to_be_spent(caller):
    one = caller("once")
    await drained(await one.chat("words-5"))
    refused = await told(one)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "insufficient_quota"
    assert refused.headers["x-should-retry"] == "false"
    assert "retry-after" not in refused.headers
    with pytest.raises(anthropic.RateLimitError):
        await one.anthropic.messages.create(model="m", messages=HI, max_tokens=5)
