"""`gauger clusters`: a file of clusters checked where it is edited."""

from pathlib import Path

from typer.testing import CliRunner

from proxy.cli.main import app
from proxy.settings.clusters_schema import schema_text

FILE = "clusters:\n  - {id: c-1, state: open, accounts: [a, b]}\n"


def ran(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["clusters", *arguments])
    return result.exit_code, result.output


def test_a_file_that_is_in_order_is_counted_and_named_by_its_digest(tmp_path: Path):
    file = tmp_path / "clusters.yaml"
    file.write_text(FILE)
    code, said = ran("check", str(file))
    counted, version = said.splitlines()
    assert (code, counted) == (0, f"{file}: 1 clusters of 2 accounts, 0 dismissed")
    assert version.startswith("sha256:")


def test_accounts_that_the_directory_does_not_have_are_a_warning(tmp_path: Path):
    file, accounts = tmp_path / "clusters.yaml", tmp_path / "accounts.jsonl"
    file.write_text(FILE)
    accounts.write_text('{"account": "a", "keys": []}\n')
    code, said = ran("check", str(file), "--accounts", str(accounts))
    warning = f"warning: {file}:2:42: accounts[1]: nobody in accounts.jsonl has this id"
    assert (code, said.splitlines()[0]) == (0, warning)


def test_every_fault_is_told_and_fails(tmp_path: Path):
    file = tmp_path / "clusters.yaml"
    file.write_text(FILE.replace("open", "opn").replace("b]", "7]"))
    code, said = ran("check", str(file))
    assert code == 1
    assert f"{file}:2:22: clusters[0].state: write open" in said


def test_the_schema_is_printed_for_editors():
    assert ran("schema") == (0, schema_text())
