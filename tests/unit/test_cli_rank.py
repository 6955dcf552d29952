"""`gustibus rank`: files of ballots in, the library's decisions out."""

import json

import pytest

from gustibus.cli.app import run
from gustibus.social import ApprovalProfile, Profile, committee, decide

BALLOTS = [["a", "b", "c"]] * 3 + [["b", "c", "a"]] * 2 + [["c", "a", "b"]]


@pytest.fixture
def ballots(tmp_path):
    path = tmp_path / "ballots.jsonl"
    path.write_text("# a comment\n" + "".join(json.dumps(b) + "\n" for b in BALLOTS))
    return path


@pytest.fixture
def approvals(tmp_path):
    path = tmp_path / "approvals.jsonl"
    rows = [["a", "b"]] * 6 + [["c"]] * 3
    path.write_text("".join(json.dumps(b) + "\n" for b in rows))
    return path


def test_an_order_is_the_one_of_the_library(ballots, capsys):
    assert run(["rank", "aggregate", str(ballots), "--method", "kemeny", "--json"]) == 0
    found, expected = json.loads(capsys.readouterr().out), decide(Profile(BALLOTS), "kemeny")
    assert found["order"] == list(expected.order)
    assert (found["value"], found["optimal"]) == (expected.value, True)


def test_an_order_is_shown_with_places_and_scores(ballots, capsys):
    assert run(["rank", "aggregate", str(ballots), "--method", "borda"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["1", "7", "a"],
        ["1", "7", "b"],
        ["3", "4", "c"],
    ] or [line.split()[-1] for line in lines] == list(decide(Profile(BALLOTS), "borda").order)


def test_files_of_preflib_and_delimited_text_are_read(tmp_path, capsys):
    soc = tmp_path / "x.soc"
    soc.write_text(
        "# NUMBER ALTERNATIVES: 2\n# ALTERNATIVE NAME 1: tea\n# ALTERNATIVE NAME 2: milk\n2: 1,2\n1: 2,1\n"
    )
    assert run(["rank", "aggregate", str(soc), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["order"] == ["tea", "milk"]
    csv = tmp_path / "x.csv"
    csv.write_text("tea, milk\ntea\nmilk,tea\n")
    assert run(["rank", "aggregate", str(csv), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["winners"] == ["tea"]


def test_a_committee_keeps_its_bounds_and_says_what_they_cost(ballots, tmp_path, capsys):
    groups = tmp_path / "groups.json"
    groups.write_text(json.dumps({"a": "x", "b": "x", "c": "y"}))
    code = run(["rank", "committee", str(ballots), "-k", "2", "--rule", "k_borda", "--groups",
                str(groups), "--lower", "y=1", "--json"])  # fmt: skip
    assert code == 0
    found = json.loads(capsys.readouterr().out)
    assert "c" in found["members"]
    free = committee(Profile(BALLOTS), 2, rule="k_borda").value
    assert found["price_of_fairness"] == pytest.approx(1 - found["value"] / free)


def test_approvals_are_audited(approvals, capsys):
    assert (
        run(["rank", "committee", str(approvals), "-k", "2", "--approvals", "--audit", "--json"])
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    rows = [["a", "b"]] * 6 + [["c"]] * 3
    expected = committee(ApprovalProfile(rows, labels=["a", "b", "c"]), 2, rule="pav")
    assert found["members"] == list(expected.labels)
    assert found["audit"]["jr"] is True


def test_strengths_come_from_who_beat_whom(tmp_path, capsys):
    path = tmp_path / "games.csv"
    path.write_text("winner,loser\n" + "a,b\n" * 3 + "b,a\n" + "b,c\n" * 3 + "c,b\n" + "c,a\n")
    assert run(["rank", "strengths", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["item"] for row in found] == ["a", "b", "c"]
    assert sum(row["strength"] for row in found) == pytest.approx(0, abs=1e-6)


def test_rules_are_listed_with_their_sources(capsys):
    assert run(["rank", "rules"]) == 0
    assert "Schulze" in capsys.readouterr().out
    assert run(["rank", "rules", "--committees"]) == 0
    assert "pav (approvals)" in capsys.readouterr().out


def test_a_matching_rule_is_simulated(tmp_path, capsys):
    plot = tmp_path / "curves.png"
    code = run(["rank", "match", "simulate", "triangular", "--rule", "ranking", "--runs", "3",
                "--size", "n=20", "--plot", str(plot)])  # fmt: skip
    assert code == 0
    assert "share of the optimum in hindsight" in capsys.readouterr().out
    assert plot.stat().st_size > 5000
    assert run(["rank", "match", "simulate", "triangular", "--rule", "balance", "--runs", "2",
                "--size", "n=20", "--json"]) == 0  # fmt: skip
    found = json.loads(capsys.readouterr().out)
    assert len(found["value"]) == 2
    assert all(v <= o for v, o in zip(found["value"], found["optimum"], strict=True))
    assert run(["rank", "match", "rules"]) == 0
    assert "stochastic_balance" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["aggregate", "{missing}"], 3, "no such file"),
        (["aggregate", "{broken}"], 1, "broken.jsonl:2: expected a ballot"),
        (["aggregate", "{empty}"], 1, "at least one ballot"),
        (["aggregate", "{ballots}", "--method", "bordaa"], 1, "borda"),
        (["committee", "{ballots}", "-k", "9"], 1, "k:"),
        (["committee", "{ballots}", "-k", "1", "--lower", "x=1"], 2, "--groups"),
        (["committee", "{ballots}", "-k", "1", "--audit"], 2, "--approvals"),
        (["strengths", "{ballots}"], 1, "ballots.jsonl"),
        (["match", "simulate", "nowhere"], 1, "nowhere"),
    ],
)
def test_what_is_wrong_is_one_line(ballots, tmp_path, capsys, arguments, code, message):
    (tmp_path / "broken.jsonl").write_text('["a"]\n{"b": 1}\n')
    (tmp_path / "empty.jsonl").write_text("\n")
    names = {n: str(tmp_path / f"{n}.jsonl") for n in ("missing", "broken", "empty")}
    names["ballots"] = str(ballots)
    assert run(["rank", *(a.format(**names) for a in arguments)]) == code
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
