"""The run folder: who may write into it, and what a resumed run must share with the first."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tokenexit.calibration import CalibrateConfig
from tokenexit.config import dump_config, from_yaml
from tokenexit.errors import UserError
from tokenexit.training import TrainConfig
from tokenexit.workflows import ours
from tokenexit.workflows.config import ClassificationConfig, TaggingConfig
from tokenexit.workflows.folder import check_run, generated, open_run, run_folder

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path) -> TaggingConfig:
    return TaggingConfig(
        output_dir=str(tmp_path / "run"), data="here", model={"model_type": "bert"}
    )


@pytest.fixture
def begun(config) -> TaggingConfig:
    """A run that has started to train."""
    run = open_run(config)
    (run / "train_log.jsonl").write_text("{}\n", encoding="utf-8")
    (run / "checkpoints").mkdir()
    (run / "own.txt").write_text("of the user", encoding="utf-8")
    return config


def test_a_new_folder_gets_the_settings(config):
    check_run(config)
    assert not Path(config.output_dir).exists()  # checking writes nothing
    run = open_run(config)
    assert run == Path(config.output_dir)
    assert from_yaml((run / "config.yaml").read_text(encoding="utf-8"), "") == dump_config(config)


def test_the_other_processes_may_check_late(config):
    """All check before any writes; that the first has written by then must not matter either."""
    check_run(config)
    open_run(config)
    check_run(config)


def test_a_run_is_not_overwritten_unasked(begun):
    for _ in range(2):
        with pytest.raises(UserError, match=r"already holds a run.*overwrite=true.*resume=true"):
            check_run(begun)


def test_a_run_of_an_older_version_resumes(begun):
    """Keys that there were not then had what is now their default."""
    path = Path(begun.output_dir) / "config.yaml"
    lines = path.read_text(encoding="utf-8").splitlines()
    older = [line for line in lines if not line.strip().startswith(("method:", "accumulation:"))]
    assert len(older) == len(lines) - 2
    path.write_text("\n".join(older), encoding="utf-8")
    check_run(replace(begun, resume=True))
    with pytest.raises(UserError, match="method was None and is 'pabee'"):
        check_run(replace(begun, resume=True, method="pabee"))


def test_overwriting_clears_what_a_run_wrote_and_nothing_else(begun):
    again = replace(begun, overwrite=True, seed=5)
    check_run(again)
    run = open_run(again)
    assert sorted(path.name for path in run.iterdir()) == ["config.yaml", "own.txt"]
    assert from_yaml((run / "config.yaml").read_text(encoding="utf-8"), "")["seed"] == 5


def test_resuming_changes_nothing(begun):
    run = Path(begun.output_dir)
    before = (run / "config.yaml").read_text(encoding="utf-8")
    again = replace(begun, resume=True, threads=2, batch_size=7, plugins=["mine.py"])
    check_run(again)
    open_run(again)
    assert (run / "config.yaml").read_text(encoding="utf-8") == before
    assert (run / "checkpoints").is_dir()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": 3}, "seed was 0 and is 3"),
        ({"train": TrainConfig(epochs=9)}, "train.epochs was 3 and is 9"),
        ({"model": {"model_type": "albert"}}, "model.model_type was 'bert' and is 'albert'"),
        ({"model": "folder"}, "model was None and is 'folder'"),
        ({"exit_layers": [2]}, "exit_layers was None and is [2]"),
    ],
)
def test_resuming_with_other_settings_names_them(change, told, begun):
    with pytest.raises(UserError, match="cannot be resumed with other settings") as caught:
        check_run(replace(begun, resume=True, **change))
    assert told in str(caught.value)
    assert "lr was" not in str(caught.value)  # only what differs


def test_what_follows_training_may_be_done_otherwise(begun):
    run = Path(begun.output_dir)
    policy, goal = {"name": "entropy"}, CalibrateConfig(speedup=2.0)
    other = {"policy": policy, "calibrate": goal, "decode": "legal", "threads": 2, "test_on": 3}
    again = replace(begun, resume=True, **other)
    check_run(again)
    open_run(again)
    saved = from_yaml((run / "config.yaml").read_text(encoding="utf-8"), "")
    assert saved == dump_config(replace(again, resume=False, threads=None))
    assert (run / "checkpoints").is_dir()


def test_resuming_what_never_was_starts(config):
    fresh = replace(config, resume=True)
    check_run(fresh)
    assert (open_run(fresh) / "config.yaml").is_file()


@pytest.mark.parametrize("how", [{}, {"resume": True}, {"overwrite": True}])
def test_a_run_that_stopped_at_a_mistake_may_be_started_anew(how, config):
    """Say, a wrong data path: the corrected command must not be refused."""
    open_run(replace(config, data="theer"))
    (Path(config.output_dir) / "data").mkdir()  # generated before the mistake was found
    right = replace(config, **how)
    check_run(right)
    run = open_run(right)
    assert from_yaml((run / "config.yaml").read_text(encoding="utf-8"), "")["data"] == "here"
    assert (run / "data").is_dir()


@pytest.mark.parametrize("name", ["config.yaml", "notes.txt"])
def test_a_folder_of_something_else_is_left_alone(name, config):
    run = Path(config.output_dir)
    run.mkdir()
    (run / name).write_text("train: {epochs: 3}\n", encoding="utf-8")
    with pytest.raises(UserError, match=f"output_dir {str(run)!r}"):
        check_run(config)
    check_run(replace(config, overwrite=True))


def test_a_file_is_no_folder(config):
    Path(config.output_dir).write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="is a file; give a folder"):
        check_run(replace(config, overwrite=True))


def test_a_folder_that_cannot_be_made_is_a_users_mistake(config, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    inside = replace(config, output_dir=str(tmp_path / "file" / "run"))
    check_run(inside)
    with pytest.raises(UserError, match="cannot be written"):
        open_run(inside)


MODEL = ("exit_config.json", "exit_heads.safetensors", "model.safetensors", "config.json",
         "tokenizer.json", "vocab.txt", "README.md",
         "model-00001-of-00002.safetensors")  # fmt: skip
RESULTS = ("metrics.json", "calibration.json", "pareto.csv", "report.html", "traces/test.parquet")


@pytest.fixture
def finished(begun) -> TaggingConfig:
    """A run that has everything a run may have, and files of the user's own."""
    run = Path(begun.output_dir)
    for name in (*MODEL, *RESULTS, "checkpoints/step-00000004/trainer_state.json"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("{}", encoding="utf-8")
    for name in ("traces/mine.parquet", "checkpoints/mine/notes.txt", "model.pt", "data/a.txt"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("of the user", encoding="utf-8")
    return begun


def left(run: Path) -> list[str]:
    return sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())


OWN = ["checkpoints/mine/notes.txt", "data/a.txt", "model.pt", "own.txt", "traces/mine.parquet"]


def test_overwriting_clears_the_model_and_all_of_the_run(finished):
    run = open_run(replace(finished, overwrite=True, seed=5))
    assert left(run) == sorted([*OWN, "config.yaml"])


class Killed(BaseException):
    """As SIGKILL: nothing that cleans up is run."""


def killed_after(count: int, patch: pytest.MonkeyPatch) -> list[str]:
    """Let the process end after so many removals; returns what was removed."""
    removed: list[str] = []
    unlink = Path.unlink

    def counted(self: Path, missing_ok: bool = False) -> None:
        if len(removed) == count:
            raise Killed
        if self.exists():
            removed.append(self.name)
        unlink(self, missing_ok=missing_ok)

    patch.setattr(Path, "unlink", counted)
    return removed


@pytest.mark.parametrize("count", range(14))
def test_a_kill_while_overwriting_leaves_nothing_that_loads(count, finished, monkeypatch):
    """Neither a model, nor anything the new run, resumed, would take for its own."""
    again, run = replace(finished, overwrite=True, seed=5), Path(finished.output_dir)
    with monkeypatch.context() as patch:
        removed = killed_after(count, patch)
        with pytest.raises(Killed):
            open_run(again)
    assert removed[:1] in ([], ["exit_config.json"])
    if count:
        assert not (run / "exit_config.json").exists()
    for how in ({"resume": True}, {"overwrite": True}, {}):
        check_run(replace(again, **{"overwrite": False, **how}))
    open_run(replace(again, overwrite=False, resume=True))
    assert left(run) == sorted([*OWN, "config.yaml"])
    assert from_yaml((run / "config.yaml").read_text(encoding="utf-8"), "")["seed"] == 5


def test_overwriting_clears_the_stages_of_a_cascade(finished):
    run = Path(finished.output_dir)
    (run / "cascade.json").write_text("{}", encoding="utf-8")
    for name in ("stage-1/exit_config.json", "stage-1/model.safetensors", "stage-2/config.yaml",
                 "stage-2/checkpoints/step-00000001/trainer_state.json", "stage-10/mine.txt",
                 "stage-2/mine.txt"):  # fmt: skip
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("{}", encoding="utf-8")
    open_run(replace(finished, overwrite=True))
    assert left(run) == sorted([*OWN, "config.yaml", "stage-10/mine.txt", "stage-2/mine.txt"])


def test_the_markers_of_a_cascade_and_its_stages_go_first(finished, monkeypatch):
    run = Path(finished.output_dir)
    for name in ("cascade.json", "stage-1/exit_config.json", "stage-1/model.safetensors"):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("{}", encoding="utf-8")
    with monkeypatch.context() as patch:
        removed = killed_after(3, patch)
        with pytest.raises(Killed):
            open_run(replace(finished, overwrite=True))
    assert sorted(removed) == ["cascade.json", "exit_config.json", "exit_config.json"]
    open_run(replace(finished, overwrite=True))
    assert left(run) == sorted([*OWN, "config.yaml"])


def test_overwriting_a_folder_of_something_else_removes_nothing(config):
    """Its model and tables are the user's, though their names are ours as well."""
    run = Path(config.output_dir)
    mine = ["config.json", "model.safetensors", "metrics.json", "checkpoints/best.pt", "README.md"]
    for name in mine:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("of the user", encoding="utf-8")
    open_run(replace(config, overwrite=True))
    assert left(run) == sorted([*mine, "config.yaml"])


def test_a_model_without_its_settings_is_not_resumed(finished):
    (Path(finished.output_dir) / "config.yaml").unlink()
    with pytest.raises(UserError, match=r"without config.yaml.*nothing to resume"):
        check_run(replace(finished, resume=True))
    check_run(replace(finished, overwrite=True))


@pytest.mark.parametrize("content", ["", "seed: 0\ntrain: [", "train: 3\n", "- a\n", "\0"])
def test_settings_that_are_damaged_are_named(content, begun):
    path = Path(begun.output_dir) / "config.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        check_run(replace(begun, resume=True))
    assert f"{path} is damaged" in str(caught.value)
    assert "overwrite=true" in str(caught.value)
    (path.parent / "exit_config.json").write_text("{}", encoding="utf-8")
    run = open_run(replace(begun, overwrite=True))
    assert left(run) == ["config.yaml", "own.txt"]


def test_what_killed_writers_left_is_cleared(begun):
    run = Path(begun.output_dir)
    (run / ".metrics.json.abc.partial").write_text("half", encoding="utf-8")
    open_run(replace(begun, resume=True))
    assert not list(run.glob(".*"))


class TestTheSameRunByAnotherName:
    @pytest.fixture
    def places(self, tmp_path, monkeypatch):
        (tmp_path / "work" / "corpus").mkdir(parents=True)
        (tmp_path / "work" / "bert").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "work")
        monkeypatch.setenv("HOME", str(tmp_path / "work"))
        monkeypatch.chdir(tmp_path / "work")
        return tmp_path

    @pytest.mark.parametrize(
        ("model", "data", "cwd"),
        [
            ("bert", "corpus", "work"),
            ("./bert", "./corpus/", "work"),
            ("work/bert/", "work/../work/corpus", "."),
            ("~/bert", "~/corpus", "link"),
            ("../bert", ".", "work/corpus"),
            ("{}/link/bert", "{}/link/corpus", "/"),
        ],
    )
    def test_goes_on(self, model, data, cwd, places, monkeypatch):
        from tokenexit.workflows.same_run import with_whole_paths

        first = TaggingConfig(output_dir=str(places / "run"), data="corpus", model="bert")
        run = open_run(with_whole_paths(first))
        (run / "checkpoints" / "step-00000001").mkdir(parents=True)
        monkeypatch.chdir(places / cwd)
        spelled = {"data": data.format(places), "model": model.format(places)}
        check_run(replace(first, resume=True, **spelled))
        with pytest.raises(UserError, match="data was"):
            check_run(replace(first, resume=True, model=spelled["model"], data=str(places)))

    def test_a_run_of_an_older_version_too(self, places):
        """There, paths were saved as they were typed."""
        first = TaggingConfig(output_dir="run", data="corpus", model="bert")
        (open_run(first) / "metrics.json").write_text("{}", encoding="utf-8")
        check_run(replace(first, resume=True, data=str(places / "link" / "corpus")))

    def test_in_the_stages_of_a_cascade(self, places):
        from tokenexit.workflows.config import ClassificationConfig
        from tokenexit.workflows.same_run import with_whole_paths

        stages = [{"model": "bert", "train": {"epochs": 1}}, {"keep_layers": 2}]
        first = ClassificationConfig(output_dir="run", data="corpus", stages=stages)
        (open_run(with_whole_paths(first)) / "metrics.json").write_text("{}", encoding="utf-8")
        other = [{**stages[0], "model": str(places / "link" / "bert")}, stages[1]]
        check_run(replace(first, resume=True, stages=other))
        assert stages[0]["model"] == "bert"

    @pytest.mark.parametrize("name", ["bert-base-cased", "no/such", "~nobody-here/x", "a" * 5000])
    def test_other_names_stay(self, name, places):
        from tokenexit.workflows.same_run import whole_path

        assert whole_path(name) == name
        assert whole_path(None) is None


class TestOneRunAFolder:
    def test_the_second_is_refused_while_the_first_lives(self, config):
        with (
            run_folder(config),
            pytest.raises(UserError, match=f"being written by a run .process {os.getpid()}"),
            run_folder(replace(config, resume=True)),
        ):
            pass
        assert not Path(config.output_dir).exists()
        with run_folder(config):
            open_run(config)
        assert left(Path(config.output_dir)) == ["config.yaml"]

    def test_other_processes_of_the_run_only_look(self, config):
        with run_folder(config), run_folder(config, main=False):
            pass

    def test_a_run_that_ended_meanwhile_is_not_written_over(self, config, monkeypatch):
        from tokenexit.workflows import folder

        def ends(*args):
            (open_run(config) / "metrics.json").write_text("{}", encoding="utf-8")
            return locked(*args)

        locked = folder.locked
        monkeypatch.setattr(folder, "locked", ends)
        with pytest.raises(UserError, match="already holds a run"), run_folder(config):
            pass


class TestARunThatFails:
    def test_leaves_no_folder(self, tmp_path):
        config = TaggingConfig(output_dir=str(tmp_path / "deep" / "er" / "run"), data="theer")
        with pytest.raises(UserError), run_folder(config):
            raise UserError("theer does not exist")
        assert not list(tmp_path.iterdir())

    def test_nor_settings_or_data_of_its_own(self, tmp_path):
        config = TaggingConfig(output_dir=str(tmp_path / "run"))

        def demo(folder, task):
            folder.mkdir(parents=True)
            (folder / "test.parquet").write_text(task)

        def fails():
            with run_folder(config):
                assert generated(tmp_path / "run", "ner", demo) == str(tmp_path / "run" / "data")
                open_run(config)
                raise UserError("no labelled word")

        with pytest.raises(UserError, match="no labelled word"):
            fails()
        assert not list(tmp_path.iterdir())

    def test_but_what_was_there(self, begun):
        before = left(Path(begun.output_dir))
        with pytest.raises(UserError), run_folder(replace(begun, overwrite=True)):
            raise UserError("theer does not exist")
        assert left(Path(begun.output_dir)) == before

    def test_and_what_was_computed(self, config):
        run = Path(config.output_dir)

        def stopped():
            with run_folder(config):
                open_run(config)
                (run / "checkpoints" / "step-00000001").mkdir(parents=True)
                (run / "train_log.jsonl").write_text("{}\n")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            stopped()
        assert left(run) == ["config.yaml", "train_log.jsonl"]


def test_generated_data_is_whole_or_made_again(tmp_path):
    def killed(folder, task):
        folder.mkdir(parents=True)
        (folder / "train.parquet").write_text("half")
        raise Killed

    def whole(folder, task):
        folder.mkdir(parents=True)
        for name in ("test", "train"):
            (folder / f"{name}.parquet").write_text(task)

    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.txt").write_text("of the user")
    with pytest.raises(Killed):
        generated(tmp_path, "pos", killed)
    assert left(tmp_path) == [".data.partial/train.parquet", "data/mine.txt"]
    generated(tmp_path, "pos", whole)
    assert left(tmp_path) == ["data/mine.txt", "data/test.parquet", "data/train.parquet"]


def test_every_file_that_a_model_is_saved_as_is_known(trained_run):
    """Else an old one could stay beside a new model."""
    known = {path.name for path in ours.ours(trained_run)} | {"config.yaml"}
    assert {path.name for path in trained_run.iterdir() if path.is_file()} <= known


def test_an_empty_name_is_not_the_current_folder(config):
    for name in ("", "  "):
        with pytest.raises(UserError, match="output_dir is empty"):
            check_run(replace(config, output_dir=name, overwrite=True))


@pytest.mark.parametrize("spelled", ["run", "run/../run", "link", "run/seed-0", "run/checkpoints"])
def test_a_model_is_not_written_over_by_the_run_that_starts_from_it(spelled, begun, tmp_path):
    run = Path(begun.output_dir)
    (run / "seed-0").mkdir()
    (run / "model.safetensors").touch()
    (tmp_path / "link").symlink_to("run")
    model = str(tmp_path / spelled)
    with pytest.raises(UserError, match="holds the model that the run starts from"):
        check_run(replace(begun, overwrite=True, model=model))
    assert (run / "model.safetensors").exists()
    check_run(replace(begun, overwrite=True, model=str(tmp_path / "run-2")))


def test_nor_is_the_model_of_a_stage(tmp_path):
    run = tmp_path / "run"
    (run / "small").mkdir(parents=True)
    config = ClassificationConfig(
        output_dir=str(run), overwrite=True, stages=[{"model": str(run / "small")}, {"seed": 1}]
    )
    with pytest.raises(UserError, match="holds the model"):
        check_run(config)
