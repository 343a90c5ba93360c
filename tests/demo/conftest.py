"""An emulator and the real SDKs talking to it directly."""

from collections.abc import AsyncIterator

import anthropic
import openai
import pytest

from proxy.demo.emulator import Emulator
from proxy.demo.upstream.sending import Timing

KEY = "upstream-key"


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(key=KEY, timing=Timing(slow_s=0.01)) as running:
        yield running


@pytest.fixture
async def oai(emulator: Emulator) -> AsyncIterator[openai.AsyncOpenAI]:
    url = f"{emulator.url}/v1"
    async with openai.AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0) as client:
        yield client


@pytest.fixture
async def ant(emulator: Emulator) -> AsyncIterator[anthropic.AsyncAnthropic]:
    url = emulator.url
    async with anthropic.AsyncAnthropic(api_key=KEY, base_url=url, max_retries=0) as client:
        yield client
