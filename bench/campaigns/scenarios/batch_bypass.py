"""batch-bypass: rubric-grader's work, all of it through the batch surface.

At scale 1: 500 accounts, 150,000 graded prompts in 14 days, so many to a batch as the seed draws
(about two batches an account at least). Anthropic's batches carry their requests in one JSON body;
OpenAI's are a file, uploaded as a form, and a batch that names it. No prompt is sent by itself.
"""

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bench.campaigns.draw import digest
from bench.campaigns.hand import Hand, hand
from bench.campaigns.pace import DAY_S, profile
from bench.campaigns.persona import Line, Persona
from bench.campaigns.scenario import Scenario
from bench.campaigns.scenarios.rubric_grader import Grading
from bench.campaigns.stream import Cast
from bench.campaigns.succession import Succession
from bench.campaigns.world import STEADY, Person, World

NAME = "batch-bypass"
ACCOUNTS, PROMPTS, DAYS, AT_LEAST, PER_CARD = 500, 150_000, 14.0, 50, 20
PROMPTS_A_DAY = PROMPTS / ACCOUNTS / DAYS
SIZES = (20, 50, 100, 150)
NIGHT = profile("night", 3600.0, [8.0] * 6 + [1.0] * 14 + [4.0] * 4, 1.0, 1.0)


@dataclass(slots=True)
class Batching(Persona):
    """An account that sends batches of `size` prompts. A file that was uploaded is named seconds
    later, in a request of its own."""

    size: int = 1
    sent: int = 0
    uploaded: str = ""
    names_it_s: float = 0.0

    def next_at(self) -> float:
        """The naming of the file that was uploaded, else the next batch."""
        return self.names_it_s if self.uploaded else self.pace.next_at(self.draw)

    def line(self, number: int, at_s: float) -> Line:
        """A batch, a file for one, or the batch that names the file."""
        line: Line = {
            "id": f"x-{number:08d}",
            "ts": at_s,
            "client_ip": self.addresses.at(at_s, self.draw),
            "headers": self.headers,
            "tls": {"ja4": self.client.ja4},
            "method": "POST",
            "path": "/v1/messages/batches",
        }
        if self.client.dialect == "anthropic":
            line["body"] = {"requests": self._requests("params")}
        elif self.uploaded:
            endpoint, window = "/v1/chat/completions", "24h"
            line["path"] = "/v1/batches"
            line["body"] = {
                "input_file_id": self.uploaded, "endpoint": endpoint, "completion_window": window,
            }  # fmt: skip
            self.uploaded = ""
        else:
            self._upload(line, at_s)
        line["response"] = {"status": 200, "duration_s": round(0.2 + self.draw.unit(), 3)}
        return line

    def _requests(self, name: str, **more: str) -> list[dict[str, Any]]:
        self.sent += 1
        found: list[dict[str, Any]] = []
        for at in range(self.size):
            body = self._body(self.work.ask(self.draw), self.model)
            found.append({"custom_id": f"r-{self.sent}-{at}", **more, name: body})
        return found

    def _upload(self, line: Line, at_s: float) -> None:
        rows = self._requests("body", method="POST", url="/v1/chat/completions")
        file = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        edge = f"{digest(self.account, self.sent):016x}"
        line["path"] = "/v1/files"
        line["headers"] = [
            [name, f"multipart/form-data; boundary={edge}"]
            if name.lower() == "content-type"
            else [name, text]
            for name, text in self.headers
        ]
        line["body_text"] = (
            f'--{edge}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
            f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="in.jsonl"\r\n'
            f"Content-Type: application/jsonl\r\n\r\n{file}\r\n--{edge}--\r\n"
        )
        self.uploaded = f"file-{digest('file', self.account, self.sent):016x}"
        self.names_it_s = at_s + 1.0 + 4.0 * self.draw.unit()


def build(world: World) -> Cast:
    """The campaign at the world's scale."""
    plan, length_s = world.draw(NAME, "plan"), world.length_s(DAYS)
    grading = Grading(plan, world.corpus.harvest)
    prompts = PROMPTS_A_DAY * length_s / DAY_S
    size = max(1, min(plan.pick(SIZES), int(prompts / 2)))
    one = hand(world, NAME, "bb")
    one = replace(one, habits=replace(one.habits, model="m-large", cards=PER_CARD, stream=0.0))
    # Arrivals begin in the middle of a gap, which is half a batch more than the rate says.
    per_day = (prompts / size - 0.5) * DAY_S / length_s
    make = partial(_account, one, grading, size, per_day, plan.chance(0.5))
    note = f"{size} prompts a batch, {grading.told()}; {one.habits.note}"
    count = world.accounts(ACCOUNTS, AT_LEAST)
    return Succession(world, NAME, count, make).cast(NAME, length_s, note)


def _account(
    one: Hand,
    grading: Grading,
    size: int,
    per_day: float,
    nightly: bool,
    number: int,
    starts_s: float,
) -> Person:
    shape = NIGHT if nightly else STEADY
    person = one.person(
        number, grading, shape=shape, per_day=per_day, starts_s=starts_s, kind=Batching
    )
    persona = person.persona
    assert isinstance(persona, Batching)
    persona.size = size
    person.account["tier"], person.account["verified"] = "build", True
    return person


# An upload and the batch that names it are two exchanges; a third of the programs need one.
PER_DAY = PROMPTS_A_DAY / SIZES[1] * 1.7
SCENARIO = Scenario(NAME, "campaign", ACCOUNTS, PER_DAY, DAYS, build, AT_LEAST)
