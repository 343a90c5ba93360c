import json

import anthropic
import httpx2
import pytest
from anthropic.types.messages import MessageBatch

from proxy.wire.results_url import at_gateway

HERE = "https://gauger.example:8443"
AT_UPSTREAM = "https://api.anthropic.com/v1/messages/batches/msgbatch_1/results"
AT_GATEWAY = f"{HERE}/v1/messages/batches/msgbatch_1/results"
BATCH = {
    "id": "msgbatch_1",
    "type": "message_batch",
    "processing_status": "ended",
    "request_counts": dict.fromkeys(
        ["processing", "succeeded", "errored", "canceled", "expired"], 0
    ),
    "created_at": "2026-01-01T00:00:00Z",
    "expires_at": "2026-01-02T00:00:00Z",
    "results_url": AT_UPSTREAM,
}


def test_only_the_place_of_the_results_changes():
    answer = b'{ "a" : "\\u00e9", "results_url" :\t"%s" , "n": 1e2 }\n'
    changed = at_gateway(answer % AT_UPSTREAM.encode(), HERE)
    assert changed == answer % AT_GATEWAY.encode()


def test_the_sdk_reads_what_has_changed():
    batch = MessageBatch.model_validate_json(at_gateway(json.dumps(BATCH).encode(), HERE))
    assert batch.results_url == AT_GATEWAY
    assert batch == MessageBatch.model_validate(BATCH | {"results_url": AT_GATEWAY})


def test_each_batch_of_a_list_changes():
    running = BATCH | {"results_url": None}
    listed = {"data": [BATCH, running, BATCH], "has_more": False, "first_id": "a", "last_id": "b"}
    changed = json.loads(at_gateway(json.dumps(listed).encode(), HERE))
    assert [batch["results_url"] for batch in changed["data"]] == [AT_GATEWAY, None, AT_GATEWAY]
    assert changed | {"data": listed["data"]} == listed


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"type":"error"}',
        b'{"results_url":null}',
        b'{"results_url":7}',
        b'{"results_url":"https://["}',
        b'{"results_url":"ftp://a/v1/messages/batches/b/results"}',
        b'{"results_url":"https://elsewhere.example/signed?x=y"}',
        b'{"results_url":"/v1/messages/batches/b/results"}',
        b'{"data":{"results_url":"https://a/v1/messages/batches/b/results"}}',
        b'{"results_url":"https://a/v1/messages/batches/b","results_url":"x"}',
        b"[" * 10_000,
    ],
)
def test_what_names_no_results_at_an_upstream_stays_as_it_is(answer):
    assert at_gateway(answer, HERE) is answer


def test_a_path_in_front_of_the_upstream_goes_and_a_query_stays():
    answer = b'{"results_url":"http://10.0.0.1:9/model/v1/messages/batches/b/results?limit=1"}'
    changed = at_gateway(answer, HERE + "/", upstream_path="/model/")
    assert json.loads(changed)["results_url"] == f"{HERE}/v1/messages/batches/b/results?limit=1"


def test_the_sdk_fetches_results_from_the_gateway():
    asked = []

    def answer(request):
        asked.append(str(request.url))
        if request.url.path.endswith("/results"):
            return httpx2.Response(200, content=b'{"custom_id":"c","result":{"type":"expired"}}\n')
        return httpx2.Response(
            200,
            headers={"content-type": "application/json"},
            content=at_gateway(json.dumps(BATCH).encode(), HERE),
        )

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        client = anthropic.Anthropic(api_key="k", base_url=HERE, http_client=http)
        results = list(client.messages.batches.results("msgbatch_1"))
    assert [result.result.type for result in results] == ["expired"]
    assert asked == [f"{HERE}/v1/messages/batches/msgbatch_1", AT_GATEWAY]
