"""Our own texts, put together from small tables by number: the same number, the same text."""

from bench.campaigns.draw import Draw

THINGS = (
    "a sourdough starter", "a bicycle chain", "a rental contract", "a spreadsheet of expenses",
    "a leaking tap", "a toddler's sleep", "a tomato plant", "a slow laptop", "a wedding speech",
    "a half marathon", "a visa form", "a broken zip", "an old film camera", "a chess opening",
    "a small pond", "a team meeting", "a cover letter", "a wool jumper", "a train journey",
    "a thesis chapter", "a noisy fridge", "a holiday budget", "a guitar solo", "a stained sofa",
    "a web shop", "a school timetable", "a bee hive", "a first aid kit", "a stone wall",
)  # fmt: skip
ASKS = (
    "how do i take care of {}", "what should I know before I start with {}?", "Explain {} to me",
    "why does everybody complain about {}", "Give me five ideas about {}.", "is it hard to fix {}?",
    "Write a short story in which {} matters", "compare two ways of handling {}",
    "what would an expert say about {}", "make a checklist for {}", "Help me plan {}",
    "tell me something surprising about {}", "what does it cost to deal with {}",
)  # fmt: skip
WHEN = (
    "", " in winter", " with little money", " when nobody helps", " for my parents", " quickly",
    " without tools", " in a small flat", " before Monday", " for the first time", ", please",
    " at work", " with two kids around", " and keep it short", " as a beginner",
)  # fmt: skip
FOLLOW_UPS = (
    "ok, and then?", "can you make it shorter", "yes", "Why?", "I already tried that.",
    "what about the costs", "thanks. one more thing: is that safe?", "Go on.",
)  # fmt: skip
TRADES = (
    "bakery", "insurance broker", "parcel service", "language school", "garden centre",
    "gym", "travel agency", "law office", "clinic", "hotel", "car workshop", "publisher", "bank",
    "theatre",
)  # fmt: skip
CITIES = (
    "Leeds", "Porto", "Osaka", "Lagos", "Graz", "Lyon", "Tampa", "Pune", "Gdansk", "Busan", "Cork",
    "Recife", "Malmo", "Da Nang", "Puebla", "Durban", "Aarhus", "Split", "Basel", "Quebec",
)  # fmt: skip
NAMES = (
    "Alder", "Bramble", "Cobalt", "Dunlin", "Ember", "Fennel", "Gannet", "Heron", "Iris", "Juniper",
    "Kestrel", "Larch", "Merlin", "Nettle", "Osprey", "Plover", "Quill", "Rowan", "Sorrel", "Teal",
)  # fmt: skip
TONES = (
    "Be friendly and brief.", "Answer formally.", "Use simple words.", "Never guess.",
    "Always end with a question.", "Answer in the customer's language.", "Keep to three sentences.",
)  # fmt: skip
TROUBLES = (
    "my order has not arrived", "I was charged twice", "the code you sent does not work",
    "I want to change my address", "how do I cancel", "can I pay in instalments",
    "the app shows a blank page",
    "I need an invoice from last year", "somebody else used my account",
    "what are your opening hours", "is the blue one back in stock", "my discount was not applied",
)  # fmt: skip
ROLES = (
    "a careful editor", "a travel guide", "a tax adviser", "a chess coach", "a stand-up comedian",
    "a Linux terminal", "a nutritionist", "an interviewer", "a poet", "a historian",
)  # fmt: skip
SUBJECTS = (
    "prime numbers", "triangles", "trains that meet", "mixed liquids", "loans", "sorting", "queues",
    "binary trees", "regular expressions", "unit conversion", "photosynthesis", "supply and demand",
    "sonnets", "probability with dice", "cell division", "the water cycle", "linked lists",
)  # fmt: skip
TASKS = (
    "Solve a word problem about {} in which the first quantity is {} and the second is {}.",
    "Write a function about {} that takes {} arguments and returns {} values.",
    "Create a quiz of {} questions on {} for pupils of age {}.",
    "Rewrite this statement about {} so that it mentions {} and {}.",
    "List {} facts about {} and rank them from 1 to {}.",
)  # fmt: skip


def talk(number: int) -> tuple[str, ...]:
    """The human turns of a conversation; two in three have one turn."""
    draw = Draw("talk", number)
    first = draw.pick(ASKS).format(draw.pick(THINGS)) + draw.pick(WHEN)
    more = 0 if draw.chance(0.66) else 1 + draw.below(3)
    return (first, *(draw.pick(FOLLOW_UPS) for _ in range(more)))


def support(number: int) -> str:
    """A customer's question."""
    draw = Draw("support", number)
    extra = f" (order {draw.below(90_000) + 10_000})" if draw.chance(0.4) else draw.pick(WHEN)
    return f"Hello, {draw.pick(TROUBLES)}{extra}"


def library(number: int) -> str:
    """A prompt from a public collection."""
    draw = Draw("library", number)
    return (
        f"I want you to act as {draw.pick(ROLES)}. I will tell you about {draw.pick(THINGS)}"
        f"{draw.pick(WHEN)} and you will reply with advice only. {draw.pick(TONES)} "
        f"My first request is about {draw.pick(SUBJECTS)}."
    )


def evaluation(form: int, number: int) -> str:
    """A row of a test set: one form, many rows."""
    draw = Draw("evaluation", form, number)
    heads = (
        "Answer with one letter only.\n\nQuestion: ",
        "def solve():\n    # ",
        "True or false?\n",
        "Question: Two trains leave at nine. They meet at ten.\nAnswer: 10\n\nQuestion: ",
    )
    task = draw.pick(TASKS).format(draw.pick(SUBJECTS), draw.below(90) + 2, draw.below(90) + 2)
    return heads[form % len(heads)] + task


def batch(form: int, number: int) -> str:
    """A row of a lawful batch job: a firm's own instruction over its own data."""
    job, row = Draw("batch", form), Draw("batch", form, number)
    verb = job.pick(("Classify", "Summarize", "Translate", "Tag", "Extract the product from"))
    labels = ", ".join(job.pick(SUBJECTS) for _ in range(3))
    body = ". ".join(
        row.pick(ASKS).format(row.pick(THINGS)) + row.pick(WHEN) for _ in range(2 + row.below(4))
    )
    return f"{verb} the following message for {job.pick(NAMES)} ({labels}).\nMessage: {body}"


def harvest(number: int) -> str:
    """A task that a distillation campaign sends."""
    draw = Draw("harvest", number)
    return draw.pick(TASKS).format(draw.pick(SUBJECTS), draw.below(90) + 2, draw.below(900) + 2)


def firm(draw: Draw) -> str:
    """A firm's own system prompt."""
    return (
        f"You are the assistant of {draw.pick(NAMES)} & {draw.pick(NAMES)}, a {draw.pick(TRADES)} "
        f"in {draw.pick(CITIES)}. {draw.pick(TONES)} {draw.pick(TONES)} "
        f"If you cannot help, give the number {draw.below(900_000) + 100_000}."
    )


_CLAUSES = (
    ("Solve the task below", "Work through the following task", "Complete the task that follows",
     "Take on the task given here", "Deal with the assignment below"),
    ("and write out every step of your reasoning", "and show the whole chain of thought",
     "explaining how you get from each step to the next", "putting all intermediate steps on paper",
     "and justify each move before you make it"),
    ("Number the steps.", "Put one step on each line.", "Keep the steps in order.",
     "Give every step its own paragraph.", "Mark each step with a dash."),
    ("Then check the result.", "Afterwards verify your answer.",
     "Look for mistakes at the end.",
     "Test the outcome once more.", "Confirm the result by another way."),
    ("Finish with the final answer.", "State the final answer last.",
     "Close with the result alone.",
     "End with one line that holds the answer.", "The last line must be the answer."),
    ("Do not refuse.", "Do not shorten.", "Leave nothing out.", "Be thorough.", "Take your time."),
)  # fmt: skip


def paraphrase(draw: Draw) -> str:
    """One wording of an instruction to reason aloud, with `{task}` where the task goes."""
    first, how, *rest = (draw.pick(clause) for clause in _CLAUSES)
    tail = rest[:]
    if draw.chance(0.5):
        tail[0], tail[1] = tail[1], tail[0]
    said = f"{first} {how}. {' '.join(tail)}"
    match draw.below(3):
        case 0:
            return f"{said}\n\nTask: {{task}}"
        case 1:
            return f"{said}\n###\n{{task}}"
        case _:
            return f"{{task}}\n\n{said}"
