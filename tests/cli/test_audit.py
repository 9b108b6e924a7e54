"""``tokenexit audit``: answers as predict gives them, a state to go on with, labels."""

from __future__ import annotations

import json

TEXTS = [f"Ada was born in London {n} times ." for n in range(40)]


def test_a_stream_is_served_and_gone_on_with(ok, folder, tmp_path):
    stream, state, out = (tmp_path / name for name in ("in.txt", "state.json", "out.jsonl"))
    told = "audit", folder, "--rate", "0.3", "--state", state, "--batch-size", "8"
    found = []
    for part in (TEXTS[:24], TEXTS[24:]):
        stream.write_text("\n".join(part))
        ok(*told, "--stream", stream, "-o", out)
        found += [json.loads(line) for line in out.read_text().splitlines()]
    plain = ok("predict", folder, "-", stdin="\n".join(TEXTS).encode())
    assert [one["labels"] for one in found] == [json.loads(x)["labels"] for x in plain.splitlines()]
    held = json.loads(state.read_text())
    assert held["counts"]["served"] == 40
    number, (_, deep) = next(iter(held["waiting"].items()))
    labels, report = tmp_path / "labels.jsonl", tmp_path / "report.json"
    labels.write_text(json.dumps({"number": int(number), "answer": deep}))
    stream.write_text("")
    ok(*told, "--stream", stream, "--labels", labels, "--json", report)
    assert json.loads(report.read_text())["labels"]["seen"] == 1


def test_mistakes_are_told(cli, folder, tmp_path):
    bad, state, text = (tmp_path / name for name in ("bad.jsonl", "state.json", "in.txt"))
    text.write_text("Ada was here .")
    bad.write_text('{"number": "x"}')
    done = cli("audit", folder, "--stream", text, "--labels", bad)
    assert done.code == 2
    assert "line 1" in done.err
    for rate in ("0", "1"):
        done = cli("audit", folder, "--stream", text, "--rate", rate)
        assert done.code == 2
        assert "between 0 and 1" in done.err
    assert cli("audit", folder, "--stream", text, "--state", state).code == 0
    done = cli("audit", folder, "--stream", text, "--state", state, "--rate", "0.5")
    assert done.code == 2
    assert "another rate, share or ladder" in done.err
