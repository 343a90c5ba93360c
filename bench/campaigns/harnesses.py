"""Popular programs and frameworks: each brings its client, system prompt, tools and parameters.

Unrelated people who use the same one look alike in three families at once: that is what a detector
must learn to think nothing of. Shares follow Zipf's law. All of them are invented.
"""

from dataclasses import dataclass
from typing import Any

from bench.campaigns import jobs, texts, work
from bench.campaigns.clients import CLIENTS, Client
from bench.campaigns.corpus import Corpus
from bench.campaigns.draw import Draw, running

SHARE = 0.3  # of the unrelated accounts
_NAMED = 0.35  # of the users of a program that can be told a name or a project


@dataclass(frozen=True, slots=True)
class Harness:
    """One program. `system` are the wordings of its releases; `{own}` is what the user filled in.

    `task` says what its users ask: talk, code, questions about documents ("context") or
    prepared prompts.
    """

    name: str
    client: Client
    task: str
    system: tuple[str, ...]
    tools: tuple[dict[str, object], ...] = ()
    template: str = ""
    parameters: dict[str, Any] | None = None


def tool(name: str, what: str, *fields: str) -> dict[str, object]:
    """A tool definition whose fields are all strings."""
    properties = {field: {"type": "string"} for field in fields}
    schema = {"type": "object", "properties": properties, "required": list(fields)}
    return {"name": name, "description": what, "parameters": schema}


def _client(name: str, like: str, agent: str, *versions: str) -> Client:
    """The client of a known SDK under a name of its own."""
    sdk = CLIENTS[like]
    headers = tuple(
        (header, agent if header.lower() == "user-agent" else text) for header, text in sdk.headers
    )
    return Client(name, sdk.dialect, 0.0, versions, headers, sdk.ja4)


_CONTEXT = (
    "Use only the passages below to answer the question at the end. If the passages do not hold "
    "the answer, say that you do not know; do not make one up.\n\n{context}\n\n"
    "Question: {task}\nHelpful answer:"
)
_AGENT = (
    "Answer the question as well as you can. You may use the tools.\n\nUse this form:\n"
    "Question: what you must answer\nThought: what you think you should do\nAction: the tool\n"
    "Observation: what it said\n(repeat these as often as needed)\nFinal answer: the answer\n\n"
    "Question: {task}\nThought:"
)
_STEPS = (
    "{task}\n\nLet us think about this step by step. Write out the reasoning, then give the answer "
    "on the last line after 'Answer:'."
)
_JUDGE = (
    "You compare an answer with a rubric. Give each criterion 1 to 5 points and a reason.\n"
    "Criteria: correct, complete, clear.\n\nText: {task}\n\nReturn JSON with the keys scores and "
    "reason."
)
_FILES = (
    tool("open_file", "Open a file.", "path"),
    tool("edit_file", "Change a part of a file.", "path", "old", "new"),
    tool("shell", "Run a shell command and return what it prints.", "command"),
    tool("list_folder", "List the files of a folder.", "path"),
)
_WEB = (
    tool("web_search", "Search the web.", "query"),
    tool("read_page", "Read a page of the web as text.", "address"),
)

# By popularity.
HARNESSES: tuple[Harness, ...] = (
    Harness("plank", _client("plank", "openai-python", "plank/{v} (openai)", "0.3.27", "1.0.4"),
            "context", ("",), template=_CONTEXT, parameters={"temperature": 0}),
    Harness("kiln", _client("kiln", "openai-node", "kiln-editor/{v}", "1.9.2", "1.10.0"),
            "code",
            ("You are Kiln, a pair programmer inside the editor. You see the open file and may "
             "change it with tools. Keep changes small, follow the style that is there, and never "
             "explain what the user did not ask about.{own}",
             "You are Kiln, a pair programmer inside the editor. You see the open file and may "
             "change it with tools. Keep changes small and follow the style that is there. Ask "
             "before you delete anything.{own}"), _FILES,
            parameters={"max_tokens": 2048, "temperature": 0.2}),
    Harness("parlour", _client("parlour", "openai-node", "Parlour/{v}", "0.6.30", "0.6.31"),
            "talk",
            ("You are a helpful assistant. Answer in the language of the user. Use Markdown for "
             "lists and code.{own}",), parameters={"max_tokens": 4096, "temperature": 0.7}),
    Harness("stepwise", _client("stepwise", "openai-python", "stepwise/{v}", "2.2.0"),
            "evals", ("",), template=_STEPS, parameters={"max_tokens": 512, "temperature": 0}),
    Harness("errand", _client("errand", "anthropic-python", "errand-agent/{v}", "0.14.1"),
            "talk",
            ("You are an agent that finishes errands for its user. Plan first, then act with the "
             "tools, one at a time, and report what you did in two sentences.{own}",), _WEB),
    Harness("loom", _client("loom", "openai-python", "loom-agents/{v}", "0.9.1", "0.10.0"),
            "talk", ("",), _WEB, template=_AGENT,
            parameters={"max_tokens": 1024, "temperature": 0, "stop": ["Observation:"]}),
    Harness("gauge-eval", _client("gauge-eval", "openai-python", "gauge-eval/{v}", "0.4.9"),
            "evals", ("",), parameters={"max_tokens": 256, "temperature": 0, "seed": 1234}),
    Harness("marker", _client("marker", "openai-python", "marker-judge/{v}", "1.1.0"),
            "support", ("You are a fair and strict judge.",), template=_JUDGE,
            parameters={"max_tokens": 512, "temperature": 0}),
    Harness("scribe", _client("scribe", "requests", "scribe-plugin/{v}", "5.2", "5.3"),
            "library",
            ("You help people who write for the web. Write in a warm, plain tone, in the language "
             "of the draft, and never use more than one exclamation mark.{own}",)),
    Harness("deskhand", _client("deskhand", "go", "deskhand/{v}", "3.0.1"),
            "support",
            ("You answer customers of a shop. Be polite and brief. When you cannot help, say that "
             "a colleague will write within one working day.{own}",),
            parameters={"max_tokens": 300, "temperature": 0.3}),
    Harness("flows", _client("flows", "openai-node", "flows-automation/{v}", "1.88.0", "1.91.2"),
            "batch", ("You are one step of an automation. Return only what is asked for.",)),
    Harness("polyglot", _client("polyglot", "curl", "polyglot-cli/{v}", "0.8"),
            "support",
            ("You are a translator. Translate what the user writes into English. Return only the "
             "translation.",)),
)  # fmt: skip
_AT = running([1.0 / (1 + rank) for rank in range(len(HARNESSES))])


def pick(draw: Draw) -> Harness:
    """One of the programs, as likely as it is popular."""
    return HARNESSES[draw.index(_AT)]


def task(harness: Harness, corpus: Corpus, draw: Draw) -> work.Work:
    """What one user of the program asks with it."""
    own = f" The user works on {draw.pick(texts.NAMES)}." if draw.chance(_NAMED) else ""
    system = draw.pick(harness.system).replace("{own}", own)
    inner: work.Work
    match harness.task:
        case "talk":
            inner = work.Talk(corpus, system, harness.tools)
        case "code":
            inner = work.Rows(corpus.evals[0], system, code=True)
        case "evals":
            inner = work.Rows(draw.pick(corpus.evals), system)
        case "context":
            inner = work.Rows(corpus.support if draw.chance(0.7) else corpus.library, system)
        case "batch":
            inner = work.Rows(draw.pick(corpus.batches), system)
        case "library":
            inner = work.Popular(corpus.library, system)
        case _:
            inner = work.Rows(corpus.support, system)
    if not harness.template:
        return inner
    return jobs.Wrapped(inner, harness.template, _passages(corpus, draw), harness.tools)


def _passages(corpus: Corpus, draw: Draw) -> tuple[str, ...]:
    """The documents of one user."""
    rows = draw.pick(corpus.batches)
    return tuple(draw.pick(rows)[:600] for _ in range(8))
