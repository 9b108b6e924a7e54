"""A text-to-text run from data to report, and what the console script does with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tokenexit import ExitModelForSeq2SeqLM
from tokenexit.config import load_config
from tokenexit.data.pairs import PairSplit, read_pairs
from tokenexit.errors import UserError
from tokenexit.evaluation.generation import evaluate_texts
from tokenexit.models.generation.generate_texts import encode_texts
from tokenexit.workflows.commands import open_model
from tokenexit.workflows.recipes import recipe_of
from tokenexit.workflows.recipes.generators import (
    build_generator,
    usual_prefixes,
    with_embedding_rate,
)
from tokenexit.workflows.recipes.pairs import training_pairs
from tokenexit.workflows.run import run_task
from tokenexit.workflows.seq2seq_config import Seq2SeqConfig

pytestmark = pytest.mark.slow

SMALL = {
    "model": {
        "model_type": "t5",
        "d_model": 16,
        "d_kv": 8,
        "d_ff": 16,
        "num_heads": 2,
        "num_layers": 2,
        "num_decoder_layers": 2,
        "vocab_size": 300,
    },
    "train": {"max_steps": 3, "batch_size": 8, "objective": {"name": "joint"}},
    "generation": {"max_new_tokens": 4},
    "calibrate": {"limit": 4, "loose": True},
    "validate_on": 4,
    "task": "translation",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    for name, count in (("train", 24), ("validation", 6), ("test", 6)):
        rows = [
            {"source": f"{name} number {i}", "target": f"zahl {i} {name}"} for i in range(count)
        ]
        lines = "\n".join(json.dumps(row) for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "text"
    return run_task(load_config(Seq2SeqConfig, [f"data={data}", f"output_dir={run}"], SMALL))


def test_the_run_folder_is_whole(finished):
    expected = {"metrics.json", "calibration.json", "pareto.csv", "report.html", "train_log.jsonl"}
    assert expected <= {path.name for path in finished.iterdir()}
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics["splits"]["test"]["metric"] == "bleu"
    assert [entry["layer"] for entry in metrics["static"]] == [1]
    found = json.loads((finished / "calibration.json").read_text())
    assert found["chosen"]["n_sentences"] == 4
    assert (
        "chosen on 4 of the 6 texts of the validation split"
        in (finished / "report.html").read_text()
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], pytest.approx(20 * 2e-4)),
        (["train.embedding_lr=0.5"], 0.5),
        (["model.model_type=bart"], None),
        (["model=a/checkpoint"], None),
    ],
)
def test_word_embeddings_of_a_fresh_t5_learn_faster(given, expected):
    config = load_config(Seq2SeqConfig, ["output_dir=nowhere", *given], SMALL)
    assert with_embedding_rate(config).train.embedding_lr == expected


def test_the_rate_of_the_word_embeddings_is_kept_with_the_run(finished):
    assert "embedding_lr: 0.004" in (finished / "config.yaml").read_text()


def test_a_share_of_the_texts_is_read(data, tmp_path):
    told = [f"data={data}", f"output_dir={tmp_path}", "train_on=7", "test_on=2"]
    found = recipe_of(load_config(Seq2SeqConfig, told, SMALL)).read(tmp_path)
    assert [len(found[name]) for name in ("train", "validation", "test")] == [7, 6, 2]


def test_its_report_says_how_to_use_it(finished, try_lines):
    assert {"text", "exit_layers"} <= set(try_lines(finished))
    assert 'id="threshold"' in (finished / "report.html").read_text()


def test_the_model_folder_writes_texts(finished):
    writer = ExitModelForSeq2SeqLM.from_pretrained(finished)
    assert len(writer.predict(["number 3", ""])) == 2


def test_the_console_script_serves_it(finished, data):
    opened = open_model(str(finished))
    split = opened.split(str(data), "test")
    result = opened.evaluate(
        split, "test", None, batch_size=4, pending="verify", on_unknown="error"
    )
    assert result.n_sentences == 6
    timed = opened.bench(split, 2, None, batch_size=2, repeats=1)
    assert timed.to_json()["baseline"].startswith("transformers T5")
    assert [set(line) for line in opened.predict(["number 1"], None, 2)]
    with pytest.raises(UserError, match="--decode has no meaning for text generators"):
        opened.evaluate(split, "test", None, decode="legal")


def test_a_run_in_int8_is_held_to_float32(data, tmp_path):
    run = tmp_path / "run"
    told = [f"data={data}", f"output_dir={run}", "precision=int8", "train.max_steps=1"]
    run_task(load_config(Seq2SeqConfig, told, SMALL))
    test = json.loads((run / "metrics.json").read_text())["splits"]["test"]
    assert (test["precision"], test["full_depth_precision"]) == ("int8", "fp32")
    found = json.loads((run / "calibration.json").read_text())
    assert (found["precision"], found["chosen"]["full_depth_precision"]) == ("int8", "fp32")
    assert "in int8 against full depth in fp32" in (run / "README.md").read_text()
    assert "at full depth in fp32" in (run / "report.html").read_text()


def test_a_run_measured_by_errors(data, tmp_path):
    told = [f"data={data}", f"output_dir={tmp_path / 'run'}", "metric=ter", "task=summarization"]
    run = run_task(load_config(Seq2SeqConfig, told, SMALL))
    test = json.loads((run / "metrics.json").read_text())["splits"]["test"]
    assert (test["metric"], test["lower_is_better"]) == ("ter", True)
    assert {"bleu", "rouge1", "rouge2", "rougeL_full_depth"} <= test["figures"].keys()
    assert "rougeL_signature" in test["notes"]
    report, card = (run / "report.html").read_text(), (run / "README.md").read_text()
    assert "TER" in card
    assert "lower is better" in report
    assert "ROUGE-L" in report
    again = open_model(str(run))
    assert again.model.settings.metric == "ter"
    split = again.split(str(data), "test")
    assert again.evaluate(split, "test", None).to_json()["quality"] == test["quality"]
    again.measure_by("rougeL")
    assert again.evaluate(split, "test", None).metric == "rougeL"
    with pytest.raises(UserError, match="metric of texts 'f1'"):
        again.measure_by("f1")


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (["metric=f1"], "metric of texts 'f1'"),
        (
            ["metric=chrf", "calibrate.confidence=0.9", "calibrate.loose=true"],
            "Chrf gives no parts",
        ),
    ],
)
def test_a_metric_that_cannot_be_is_refused_before_training(data, tmp_path, told, message):
    config = load_config(
        Seq2SeqConfig, [f"data={data}", f"output_dir={tmp_path / 'run'}", *told], SMALL
    )
    with pytest.raises(UserError, match=message):
        run_task(config)
    assert not (tmp_path / "run").exists()


def test_a_promise_rests_on_texts_that_chose_nothing(data, tmp_path):
    """Half of the validation split chooses; the run of a moment ago that chose on all says so."""
    risk = [
        "calibrate.risk=0.4",
        "calibrate.delta=0.5",
        "calibrate.limit=null",
        "train.keep_best=true",
    ]

    def run(folder, *told):
        argv = [f"data={data}", f"output_dir={tmp_path / folder}", *told]
        out = run_task(load_config(Seq2SeqConfig, argv, SMALL))
        return json.loads((out / "calibration.json").read_text()), out

    found, out = run("fresh", *risk)
    assert found["data_used_for"] == []
    assert found["promise"]["n"] == found["measured"]["n_sentences"] == 3
    assert found["measured"]["texts_choosing"] == found["promise"]["family_chosen_on"] == 3
    training = json.loads((out / "exit_config.json").read_text())["training"]
    assert training["validation_used_for"] == ["choosing the epoch"]
    assert training["validation_chosen_on"] == 3
    assert training["validation_looks"] == 1  # three steps end within the first epoch
    before, _ = run("later")
    assert before["data_used_for"] == []  # one model to choose among is no choice
    found, out = run("later", *risk, "resume=true")
    assert found["data_used_for"] == ["choosing the epoch"]
    assert "served for choosing the epoch before" in (out / "report.html").read_text()


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (["generation.foo=1"], "no argument 'foo'"),
        (["generation.max_new_tokns=4"], "Did you mean 'max_new_tokens'"),
        (["generation.do_sample=true", "generation.temperature=0.0"], "temperature must be"),
        (["generation.num_return_sequences=3"], "num_return_sequences=3 is more than num_beams=1"),
        (["generation.min_new_tokens=9"], "min_new_tokens=9 is more than max_new_tokens=4"),
        (["generation.guidance_scale=2.0"], "cannot take guidance_scale"),
        (["generation.forced_bos_token_id=9999"], "forced_bos_token_id is 9999, but the voc"),
        (["generation.early_stopping=often"], "cannot work with these settings: .*early_stopping"),
        (["batch_size=0"], "batch_size"),
        (["max_source=0"], "max_source"),
        (["max_target=0"], "max_target"),
        (["source_lang=en", "target_lang=de"], "marks no languages"),
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused_before_training(data, tmp_path, told, message):
    run = tmp_path / "run"
    with pytest.raises(UserError, match=message):
        run_task(load_config(Seq2SeqConfig, [f"data={data}", f"output_dir={run}", *told], SMALL))
    assert not (run / "train_log.jsonl").exists()


def test_a_prefix_stands_before_every_source_wherever_the_model_is_used(data, tmp_path):
    told = [f"data={data}", f"output_dir={tmp_path / 'run'}", "source_prefix=translate: "]
    config = load_config(Seq2SeqConfig, told, SMALL)
    split = read_pairs(str(data))["train"]
    model = build_generator(config, split)
    model.configure(source_prefix=config.source_prefix)
    bare = build_generator(config, split)
    with_it = [f"translate: {text}" for text in split.sources]
    (pair, *_), ids = training_pairs(model, split), bare.tokenizer(with_it)["input_ids"]
    assert pair.input_ids == ids[0]
    assert encode_texts(model, split.sources) == ids
    run = run_task(config)
    loaded = ExitModelForSeq2SeqLM.from_pretrained(run)
    assert loaded.settings.source_prefix == "translate: "
    found = loaded.predict(["number 3"])
    loaded.configure(source_prefix="")
    assert loaded.predict(["translate: number 3"]) == found


def test_a_model_that_names_no_first_token(finished):
    writer = ExitModelForSeq2SeqLM.from_pretrained(finished)
    split = PairSplit(["a"], ["b"], [["b"]], "pairs")
    own = writer.network.generation_config
    own.decoder_start_token_id, own.bos_token_id = None, 7
    (pair,) = training_pairs(writer, split)
    assert pair.reading[0] == writer.start_token == 7
    assert evaluate_texts(writer, split, "test", oracle=True)[0].n_sentences == 1
    own.bos_token_id = None
    with pytest.raises(UserError, match="set decoder_start_token_id"):
        training_pairs(writer, split)
    own.decoder_start_token_id = [3]
    assert training_pairs(writer, split)[0].reading[0] == 3


def test_tokens_added_after_training_are_named_when_a_text_uses_them(finished):
    writer = ExitModelForSeq2SeqLM.from_pretrained(finished)
    writer.tokenizer.add_tokens(["<drug>"])
    assert len(writer.predict(["number 3"])) == 1
    with pytest.raises(UserError, match="resize_token_embeddings"):
        writer.predict(["number <drug>"])


def test_half_a_character_in_a_source_is_replaced(finished):
    writer = ExitModelForSeq2SeqLM.from_pretrained(finished)
    assert writer.predict(["cut \ud83d"]) == writer.predict(["cut \ufffd"])


def test_what_a_checkpoint_says_of_prefixes_is_repeated(finished):
    writer = ExitModelForSeq2SeqLM.from_pretrained(finished)
    assert usual_prefixes(writer) == ""
    for tasks in (
        {"summarization": {"prefix": "summarize: "}, "other": {"length": 3}, "bad": 1},
        5,
    ):
        writer.network.config.task_specific_params = tasks
        expected = "'summarize: '" if isinstance(tasks, dict) else ""
        assert usual_prefixes(writer) == expected
