"""Our own texts of the campaigns, with alternatives: an analyst's brief, grading by rubric, the
cleaning of reasoning, tasks for a coding agent. Invented after the forms that were reported."""

from bench.campaigns.texts import CITIES, NAMES, SUBJECTS, TRADES
from bench.campaigns.wording import wordings

TABLES: dict[str, tuple[str, ...]] = {
    "trade": TRADES,
    "city": CITIES,
    "name": NAMES,
    "subject": SUBJECTS,
    "sector": (
        "retail", "freight", "fisheries", "insurance", "solar power", "hospital care", "tourism",
        "steel", "dairy", "housing", "telecoms", "textiles", "payments", "mining", "education",
        "air travel", "water supply", "publishing", "pharmacy", "farm machinery",
    ),
    "measure": (
        "revenue", "churn", "default rate", "cost per order", "waiting time", "energy use",
        "occupancy", "scrap rate", "delivery delay", "market share", "headcount", "net margin",
        "claims ratio", "yield per hectare", "basket size", "repeat purchases", "lead time",
    ),
    "period": tuple(
        f"{part} {year}"
        for year in range(2012, 2026)
        for part in ("the first quarter of", "the second half of", "the year", "the summer of")
    ),
    "region": (
        "the north", "the coast", "rural districts", "the capital", "border regions", "the islands",
        "new markets", "the old towns", "the eastern plants", "both hemispheres", "the suburbs",
    ),
    "file": tuple(
        f"{stem}{tail}"
        for stem in ("parser", "cache", "router", "session", "ledger", "queue", "schema", "retry",
                     "tokens", "render", "worker", "config", "index", "metrics", "upload", "auth")
        for tail in (".py", "_test.py", ".go", ".ts", "_util.py", ".rs")
    ),
    "folder": ("src", "lib", "core", "internal", "app", "pkg", "server", "tools", "cmd", "api"),
    "fault": (
        "returns the wrong order", "never closes its file", "loses the last row",
        "raises KeyError on empty input", "counts twice", "is off by one", "ignores the timeout",
        "breaks on non-ASCII names", "leaks a connection", "is quadratic", "swallows the error",
        "races with the writer", "reads a stale value", "rounds the wrong way",
    ),
    "number": tuple(map(str, range(2, 900, 7))),
}  # fmt: skip

# One analyst's brief, clause by clause.
ANALYST = wordings(
    (
        "{You are|Act as|Take the role of|Work as} {an expert|a senior|a seasoned|an experienced} "
        "{data analyst|analyst|statistician|research analyst} {for|in|who covers} <sector>.",
        "{Combine|Join|Bring together|Unite} {statistical rigour|sound statistics|careful "
        "statistics} with {deep knowledge of the field|knowledge of the domain|domain expertise}.",
        "{Your goal is|Your task is|You are asked|Your aim is} to "
        "{explain|account for|find what drives|trace} {the change in|the movement of|the trend of} "
        "<measure> {in|across|for} <region> {during|over|in} <period>.",
        "{Deliver|Give|Provide|Produce} {insights|findings|conclusions}, not "
        "{summaries|charts|a summary|visualizations}.",
        "{Ground|Base|Rest} {every claim|each statement|all you say} {in|on} {the data|figures|"
        "real numbers|evidence}.",
        "{Show|Write out|Lay open|Set down} {the complete|your full|the whole|all of your} "
        "{reasoning|chain of thought|line of argument}, {step by step|one step at a time|"
        "from the first step to the last}.",
        "{Compare|Contrast|Set} <measure> {with|against|beside} <measure> {before|and only then} "
        "{you conclude|concluding|you draw a conclusion}.",
        "{State|Name|List|Spell out} {the assumptions|what you assume|each assumption} and "
        "{test|check|question} {them|each of them|every one}.",
        "{Consider|Weigh|Discuss} at least <number> {other explanations|rival hypotheses|"
        "alternative causes} and {say|explain|tell} why {you reject|they fail|you drop} them.",
        "{Quantify|Give a number for|Put figures on} the {uncertainty|doubt|margin of error}.",
        "{The client|The reader|Your audience} is a <trade> in <city> with <number> "
        "{employees|branches|customers}.",
        "{End|Close|Finish} with {a recommendation|what to do next|one decision} and "
        "{its expected effect|what it would cost|the risk it carries}.",
    ),
    TABLES,
)

# Grading by rubric.
GRADER = wordings(
    (
        "{You are|Act as} {a strict|an impartial|a careful|an expert} {grader|judge|evaluator|"
        "marker}. {Score|Grade|Rate|Mark} {each|every} {answer|candidate|response} below.",
        "{Compare|Judge|Rank} the {candidate answers|responses|candidates} to {one|a|the} question "
        "{by the rubric|with this rubric|against the criteria below}.",
        "{Below|Here} {are|you find} a question and {several answers|some candidate answers}. "
        "{Award|Give} points {for|on} {each criterion|every line of the rubric}.",
        "{Apply|Use} {this|the following} {rubric|marking scheme} to {the answers|each response}.",
    ),
    TABLES,
)
CRITERIA = (
    "Correctness of the final result", "Every step follows from the one before", "Completeness",
    "No unsupported claim", "Clarity of language", "Follows the instruction exactly",
    "Depth of the explanation", "Handles edge cases", "Harmlessness", "Honest about doubt",
    "Consistent notation", "Appropriate length", "Cites the given facts", "Useful examples",
    "Refuses only where it must",
)  # fmt: skip
GRADER_FORMS = (
    'Answer as JSON: {"scores": [...], "reason": "..."}.',
    "Write the reasons first, then one line with the scores.",
    "Explain in detail how you arrive at each score, then give the total.",
    "Give the better answer's letter on the last line.",
    "Fill in a table with one row for each criterion.",
)
SENTENCES = wordings(
    (
        "{First|To begin|At the start} we {note|see|write down} that the {first|second|given} "
        "quantity is <number>.",
        "{Therefore|So|Hence|It follows that} the {result|total|remainder|ratio} is <number>.",
        "{The idea behind|What matters in} <subject> is to {keep track of|compare|split|sum} "
        "{both sides|all cases|the parts|what is left}.",
        "{Multiplying|Dividing|Adding|Subtracting} <number> {by|and} <number> {gives|leaves} "
        "<number>.",
        "{I am not sure|It is unclear|One could argue}, but <number> {seems|looks} "
        "{right|too large|plausible}.",
        "{In|Take|Think of} a <trade> in <city>: <subject> {works|looks} {the same way|otherwise}.",
        "A {common mistake|trap} {with|in} <subject> is to {stop|round} too {early|soon}.",
        "{Checking|Verification}: <number> {times|plus|minus} <number> {is|equals} <number>.",
    ),
    TABLES,
)

# The cleaner: somebody else's reasoning, to be written again.
CLEANER = wordings(
    (
        "{Rewrite|Rework|Clean up|Revise} the {reasoning|trace|chain of thought} below so that it "
        "{reads|flows} {like a textbook|smoothly|as one argument}.",
        "{Remove|Drop|Cut} {hesitation|false starts|self-talk|repetition} and {keep|preserve} "
        "{every|each} step that {matters|leads to the result}.",
        "{Do not|Never} {change|alter|touch} {the result|the final answer|any number}.",
        "{Write|Use} {the first person plural|the present tense|short sentences|an even tone}.",
        "{Put|Place} {one step|each step|a single thought} {on a line|in a paragraph|in a bullet}.",
        "{Where|If} a step is {missing|unclear|skipped}, {add it|fill it in|supply it}.",
        "{Leave out|Strip|Delete} {any mention of|every reference to} {the model|the prompt|who "
        "wrote it}.",
        "{Return|Output|Give back} {only the new text|the rewritten trace alone|nothing else}.",
    ),
    TABLES,
)
DOUBTS = (
    "Hmm, wait.", "Let me think again.", "No, that is wrong.", "OK so,", "Actually,",
    "Is that right? Yes.", "Let me double-check.", "Alternatively,", "I recall that",
)  # fmt: skip

# Tasks of a coding agent.
CODING = wordings(
    (
        "In <folder>/<file> {something|a helper|one function} <fault>. {Find out why "
        "and fix it|Fix it|Please repair it} {and add a test|with a regression test|}.",
        "{Write|Add|Implement} {a function|a small class|a module} about <subject> in "
        "<folder>/<file>, {with tests|typed|and document it}.",
        "{Issue|Ticket|Bug} #<number>: <folder>/<file> <fault>{ since the last release|"
        " under load| on Windows|}. {Reproduce it first|Propose a fix|Open a patch}.",
        "{Refactor|Simplify|Split up} <folder>/<file> {in two|and keep the tests green}.",
        "{Make the tests in|Get} <folder>/<file> {pass|green} {again|after the upgrade|}.",
    ),
    TABLES,
)
RESULTS = wordings(
    (
        "<number>: def {load|save|apply|merge|flush}(self, {key|row|path|batch}):\n"
        "<number>:     {if not|while|for x in} {self._rows|queue|items}:\n"
        "<number>:         {return None|continue|raise KeyError(key)}",
        "FAILED <folder>/<file>::test_{order|empty|close|retry|bounds} - AssertionError: "
        "<number> != <number>\n<number> passed, 1 failed in 0.{1|2|4|7}s",
        "<number> passed in {0|1|2|3}.{0|3|5|8}s",
        "<folder>/<file>:<number>: {self.total|return rows|with lock|yield chunk}\n"
        "<folder>/<file>:<number>: {close()|flush()|# TODO|import os}",
        "{wrote|updated} <folder>/<file> (<number> lines)",
    ),
    TABLES,
)
HARNESS = wordings(
    (
        "You are {a coding agent|an engineer|an autonomous developer} {in|with} {a sandbox|a "
        "container|a checkout of the repository}.",
        "{Think before each call|Explain each step before you take it|Write down your reasoning "
        "before every call}.",
        "{Work until the task is done|Do not ask questions|Never stop early}.",
        "{Call one tool at a time|Use the tools given|Prefer small edits}.",
        "{Run the tests before you finish|Finish with a summary|End with the patch}.",
    ),
    TABLES,
)
