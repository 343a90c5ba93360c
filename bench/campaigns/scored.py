"""ROC and calibration from the scores of runs.

Accounts: those of campaigns against unrelated and look-alike ones, by the best score they ever had.
Clusters: real ones, of which most accounts are one campaign's, against all others. Runs of
scenarios about law or leaked keys are left out: nobody there is one hand.
"""

from itertools import pairwise

from bench.campaigns.pooled import Run

LEFT_OUT = ("embargo", "shared-keys")
EDGES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
Curve = list[tuple[float, float]]  # share of the others, share of the campaign's, by falling score


def account_curve(runs: list[Run]) -> Curve:
    """The curve of accounts."""
    sums = {"campaign": [0] * 101, "others": [0] * 101}
    for run in _told(runs):
        for kind, counts in run["best_scores"].items():
            sums[kind] = [a + b for a, b in zip(sums[kind], counts, strict=True)]
    return _curve(sums["campaign"], sums["others"])


def cluster_curve(runs: list[Run]) -> Curve:
    """The curve of clusters."""
    real, others = [0] * 101, [0] * 101
    for score, is_real in _clusters(runs):
        (real if is_real else others)[int(score * 100)] += 1
    return _curve(real, others)


def calibration(runs: list[Run]) -> list[tuple[float, float, int, int]]:
    """By ranges of scores: from, to, clusters, real ones."""
    found = _clusters(runs)
    bins = []
    for low, high in pairwise(EDGES):
        last = high == EDGES[-1]
        inside = [real for score, real in found if low <= score < high or (last and score == high)]
        bins.append((low, high, len(inside), sum(inside)))
    return bins


def _told(runs: list[Run]) -> list[Run]:
    return [run for run in runs if run["scenario"] not in LEFT_OUT]


def _clusters(runs: list[Run]) -> list[tuple[float, bool]]:
    found = []
    for run in _told(runs):
        real = {group["name"] for group in run["groups"] if group["kind"] == "campaign"}
        found += [
            (cluster["score"], cluster["of"] in real and cluster["share"] > 0.5)
            for cluster in run["clusters"]
        ]
    return found


def _curve(positive: list[int], negative: list[int]) -> Curve:
    curve: Curve = [(0.0, 0.0)]
    hits = misses = 0
    for yes, no in zip(reversed(positive), reversed(negative), strict=True):
        hits, misses = hits + yes, misses + no
        curve.append((misses / max(1, sum(negative)), hits / max(1, sum(positive))))
    return curve
