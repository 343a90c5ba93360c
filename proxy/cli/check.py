"""`gauger check`: everything that `serve` would read, read once."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from proxy.facts.directory import Directory
from proxy.facts.places import Anonymizers, Places
from proxy.model.verdict import Mode
from proxy.policy.lint import lint
from proxy.policy.load import load as load_policy
from proxy.policy.load import passed_over
from proxy.settings.census import census_of
from proxy.settings.cluster_census import strangers, summary
from proxy.settings.clusters import checked
from proxy.settings.clusters_file import read_file
from proxy.settings.knowable import unknowable
from proxy.settings.load import load


def report(config: Path, environment: Mapping[str, str], at_ns: int) -> Iterator[str]:
    """A line for each part that is in order; the first that is not raises its own error.

    What looks wrong at that time (Unix ns) is told among them, as warnings.
    """
    settings = load(config, environment)
    yield f"settings    {config}: in order"
    policy = load_policy(settings.policies)
    enforced = sum(rule.mode is Mode.ENFORCE for rule in policy.rules)
    yield (
        f"policies    {settings.policies}: {len(policy.rules)} rules in {len(policy.files)} files, "
        f"{enforced} enforced, {policy.digest[:19]}…"
    )
    odd = {*lint(policy, at_ns), *unknowable(policy, settings), *passed_over(settings.policies)}
    for warning in sorted(odd):
        yield f"warning     {warning}"
    directory: Directory | None = None
    if settings.accounts is None:
        yield "accounts    none configured: every caller is unknown and refused"
    else:
        directory = Directory.from_file(settings.accounts)
        yield f"accounts    {settings.accounts}: {len(directory):,}"
        for warning in census_of(policy, settings.accounts):
            yield f"warning     {warning}"
    if settings.clusters is not None:
        yield from _clusters(settings.clusters, directory, settings.accounts)
    Places.open(settings.geo.databases)
    yield f"geography   {len(settings.geo.databases)} databases"
    if settings.geo.anonymizers:
        Anonymizers.load(settings.geo.anonymizers)
        yield f"anonymizers {settings.geo.anonymizers}: in order"
    for dialect in ("openai", "anthropic"):
        upstream = getattr(settings.upstreams, dialect)
        yield f"upstream    {dialect}: {upstream.url if upstream else 'none, not served'}"


def _clusters(file: Path, directory: Directory | None, accounts: Path | None) -> Iterator[str]:
    read = read_file(file)
    checked(read)
    yield f"clusters    {file}: {summary(read)}"
    if directory is not None and accounts is not None:
        for warning in strangers(read, directory, accounts):
            yield f"warning     {warning}"
