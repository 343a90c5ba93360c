"""A line of the gateway's own metrics, as its admin listener gives them."""

from collections import Counter, defaultdict

import aiohttp
from prometheus_client.parser import text_string_to_metric_families


async def fetch(admin: str) -> str:
    """The metrics of the gateway whose admin listener is at host:port `admin`."""
    url = f"http://{admin}/metrics"
    async with aiohttp.request("GET", url, raise_for_status=True) as response:
        return f"Metrics: {told(await response.text())} ({url})"


def told(text: str) -> str:
    """Exchanges by verdict and the mean of the added latency, in words."""
    verdicts: Counter[str] = Counter()
    added: defaultdict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "gauger_exchanges_total":
                verdicts[sample.labels["verdict"]] += int(sample.value)
            if sample.name.startswith("gauger_added_latency_seconds_"):
                added[sample.name.rpartition("_")[2]] += sample.value
    if not verdicts:
        return "no exchanges yet"
    counts = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
    mean_ms = 1000 * added["sum"] / max(1, added["count"])
    return f"{sum(verdicts.values())} exchanges ({counts}), {mean_ms:.1f} ms added on average"
