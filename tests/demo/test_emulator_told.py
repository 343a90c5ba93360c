"""What the emulator tells beside its text, as the real SDKs read it."""

HELLO = [{"role": "user", "content": "How strong is it?"}]


async def test_log_probabilities_come_where_they_are_asked_for(oai):
    plain = await oai.chat.completions.create(model="m-small", messages=HELLO)
    assert plain.choices[0].logprobs is None
    told = await oai.chat.completions.create(
        model="m-small", messages=HELLO, logprobs=True, top_logprobs=2
    )
    tokens = told.choices[0].logprobs.content
    assert "".join(token.token for token in tokens) == told.choices[0].message.content
    assert [len(token.top_logprobs) for token in tokens] == [2] * len(tokens)
    older = await oai.completions.create(model="m-small", prompt="x", logprobs=1)
    assert "".join(older.choices[0].logprobs.tokens) == older.choices[0].text


async def test_streamed_log_probabilities_are_those_of_the_whole(oai):
    asked = {"model": "m-small", "messages": HELLO, "logprobs": True}
    whole = await oai.chat.completions.create(**asked)
    stream = await oai.chat.completions.create(**asked, stream=True)
    logprobs = [c.choices[0].logprobs async for c in stream if c.choices[0].logprobs]
    assert [one.content[0] for one in logprobs] == whole.choices[0].logprobs.content


async def test_a_model_that_reasons_aloud_tells_its_thoughts_on_every_surface(oai, ant):
    model = "m-reason-aloud"
    chat = await oai.chat.completions.create(model=model, messages=HELLO)
    assert chat.choices[0].message.reasoning_content == "hm " * 16
    response = await oai.responses.create(
        model=model, input="x", include=["message.output_text.logprobs"]
    )
    thought, message = response.output
    assert thought.summary[0].text == "hm " * 16
    assert thought.encrypted_content
    assert message.content[0].logprobs
    answer = await ant.messages.create(model=model, max_tokens=99, messages=HELLO)
    assert [block.type for block in answer.content] == ["redacted_thinking", "thinking", "text"]


async def test_thoughts_streamed_are_those_of_the_whole(oai):
    asked = {"model": "m-reason-aloud", "input": "x"}
    whole = await oai.responses.create(**asked)
    async with oai.responses.stream(**asked) as stream:
        pieces = [
            e.delta async for e in stream if e.type == "response.reasoning_summary_text.delta"
        ]
        streamed = await stream.get_final_response()
    assert "".join(pieces) == whole.output[0].summary[0].text
    assert streamed.output[0] == whole.output[0]
    assert streamed.output_text == whole.output_text
