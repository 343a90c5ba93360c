"""`gauger check`: everything that `serve` would read, read once."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from proxy.facts.directory import Directory
from proxy.facts.places import Anonymizers, Places
from proxy.model.verdict import Mode
from proxy.policy.load import load as load_policy
from proxy.settings.load import load


def report(config: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """A line for each part that is in order; the first that is not raises its own error."""
    settings = load(config, environment)
    yield f"settings    {config}: in order"
    policy = load_policy(settings.policies)
    enforced = sum(rule.mode is Mode.ENFORCE for rule in policy.rules)
    yield (
        f"policies    {settings.policies}: {len(policy.rules)} rules in {len(policy.files)} files, "
        f"{enforced} enforced, {policy.digest[:19]}…"
    )
    if settings.accounts is None:
        yield "accounts    none configured: every caller is unknown and refused"
    else:
        yield f"accounts    {settings.accounts}: {len(Directory.from_file(settings.accounts)):,}"
    Places.open(settings.geo.databases)
    yield f"geography   {len(settings.geo.databases)} databases"
    if policy.geography and not settings.geo.databases:
        yield "warning     geography rules without a database: every place is unknown (on_missing)"
    if settings.geo.anonymizers:
        Anonymizers.load(settings.geo.anonymizers)
        yield f"anonymizers {settings.geo.anonymizers}: in order"
    for dialect in ("openai", "anthropic"):
        upstream = getattr(settings.upstreams, dialect)
        yield f"upstream    {dialect}: {upstream.url if upstream else 'none, not served'}"
