"""``tokenexit certify``: test a promise of a model, or test its certificate again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from tokenexit import files
from tokenexit.cli.base import open_model, progressing, read_policy, write_json
from tokenexit.cli.groups import Columns, Machine, OptionGroup, flat, option
from tokenexit.cli.options import BatchSize, Data, Json, Model, Progress
from tokenexit.errors import UserError


@dataclass(frozen=True)
class Listed(OptionGroup):
    """Settings that are tested in the place of the model's own policy."""

    choose: bool = option(
        "Test a list of settings, not the model's own policy; it stays.", "--choose", default=False
    )
    list_from: str | None = option(
        "With --choose, split that fixes which settings are tested; the training split if there "
        "is one, else a half of the texts.",
        metavar="SPLIT",
    )
    policy: str | None = option("With --choose, family of the list.")


@flat
def certify(
    context: typer.Context,
    model: Model,
    *,
    data: Data = None,
    split: Annotated[
        str | None, typer.Option(help="Which split tests; test, or that of the certificate.")
    ] = None,
    promise: Annotated[
        list[str] | None,
        typer.Option(metavar="PROMISE", help="'f1 kept >= 0.99 with 90%'; several may be given."),
    ] = None,
    listed: Listed,
    check: Annotated[
        bool,
        typer.Option("--check", help="Derive the certificate again from what was counted."),
    ] = False,
    rerun: Annotated[
        bool,
        typer.Option(
            "--rerun", help="With --check, run its texts again and count those that differ."
        ),
    ] = False,
    batch_size: BatchSize = 32,
    columns: Columns,
    place: Machine,
    progress: Progress = None,
    json_file: Json = None,
) -> None:
    """Test a promise on texts that chose nothing, and write the certificate; or check it."""
    from tokenexit.evaluation.processes import is_main
    from tokenexit.workflows.lock import locked

    refuse(model, promise, check, rerun, listed)
    folder, options = Path(model), columns.options()
    if check:
        found, told = checked(folder, place, rerun, (data, split, batch_size, options))
        typer.echo(told)
        write_json(json_file, found)
        return
    with progressing(progress):
        if is_main():
            context.with_resource(locked(model, "tokenexit certify"))
        asked = " and ".join(promise or [])
        texts = (data, split or "test", batch_size, options)
        found, told = tested(folder, place, asked, texts, listed)
    write_json(json_file, found)
    typer.echo(told)


def refuse(model: str, promise: list[str] | None, check: bool, rerun: bool, listed: Listed) -> None:
    """Refuse options that do not go together.

    Raises:
        UserError: Says which.
    """
    if not Path(model).is_dir():
        raise UserError(f"{model!r} is no folder here; a certificate stands in a model folder.")
    told = listed.list_from or listed.policy
    if check and (promise or listed.choose or told):
        raise UserError(
            "--check tests what the certificate says; leave --promise, --choose, --list-from and "
            "--policy out."
        )
    if rerun and not check:
        raise UserError("--rerun goes with --check.")
    if not check and not promise:
        raise UserError("Say with --promise what to certify, such as 'differs <= 0.05 with 90%'.")
    if told and not listed.choose:
        raise UserError("--list-from and --policy go with --choose, which tests a list.")


def checked(folder: Path, place: Machine, rerun: bool, where: Any) -> tuple[dict[str, Any], str]:
    """The certificate of a folder and what to say of it.

    Raises:
        UserError: It does not hold.
    """
    from tokenexit.calibration.certificate.certificate import summary
    from tokenexit.calibration.certificate.check import check_certificate
    from tokenexit.calibration.certificate.rerun import texts_that_differ
    from tokenexit.calibration.open import workload_of
    from tokenexit.cli.base import load_plugins
    from tokenexit.promises.certificate import certificate_sentences
    from tokenexit.wording.naming import of_texts

    told = place.options()
    load_plugins(told["plugin"])
    device = told["device"] and str(told["device"]).partition(":")[0]
    found, evidence = check_certificate(folder, precision=told["precision"], device=device)
    said = " ".join(certificate_sentences({"certificate": summary(found)}, checked=True))
    if not rerun:
        return found, said
    data, split, batch_size, options = where
    opened = open_model(str(folder), place)
    name = split or found["data"]["split"]
    labels = any(one.kind.labelled for one in evidence.guarantees)
    part = opened.split(data, name, labels, **options)
    differ = texts_that_differ(workload_of(opened.model, part, name, batch_size), evidence)
    texts, here = of_texts(len(evidence.texts)), opened.model.device.type
    come = "comes" if differ == 1 else "come"
    if differ and here == found["run"]["device"]:
        raise UserError(
            f"The certificate does not hold: run again, {differ} of its {texts} "
            f"{come} out otherwise."
        )
    return found, f"{said} Run again on {here}, {differ} of {texts} {come} out otherwise."


def tested(
    folder: Path, place: Machine, asked: str, texts: Any, listed: Listed
) -> tuple[dict[str, Any], str]:
    """Test promises, and write the certificate.

    Raises:
        UserError: What the model uses is not certified; the certificate says so as well.
    """
    from tokenexit.calibration.certificate import certificate
    from tokenexit.calibration.certifying import certified
    from tokenexit.evaluation.processes import is_main
    from tokenexit.guarantees import parse
    from tokenexit.models.folders.card import public_name
    from tokenexit.policies import from_config
    from tokenexit.promises.certificate import certificate_sentences
    from tokenexit.workflows import served_texts as known
    from tokenexit.workflows.overlap import trained_on

    data, split, batch_size, options = texts
    choose, list_from = listed.choose, listed.list_from
    labels = any(one.kind.labelled for one in parse(asked))
    opened = open_model(str(folder), place)
    part = opened.split(data, split, labels, **options)
    listing = None
    if choose and (list_from or "train") != split:
        listing = opened.listing(data, list_from, labels, **options)
    families = None if listed.policy is None else [read_policy(listed.policy)]
    found = certified(
        opened.model, part, asked, name=split, batch_size=batch_size, choose=choose,
        families=families, design=listing,
    )  # fmt: skip
    assert found.evidence is not None
    if not is_main():
        raise typer.Exit
    source, settings = opened.source(data), opened.model.settings
    used, _ = known.served_before(settings.training, str(folder), source, split, part)
    unknown = known.not_known(settings.training, str(folder), source)
    if not choose:  # else the policy that is there is not tested
        chose, may_have = known.chosen_before(settings.calibration, part)
        used, unknown = used + chose, unknown + may_have
    facts = certificate.Told(
        data=public_name(source),
        split=split,
        list_from=None if not choose else split if listing is None else list_from or "train",
        list_texts=found.promise["family_chosen_on"],
        used_for=used,
        not_known=unknown,
        batch_size=batch_size,
        trained_on=trained_on(opened, data, part, split, options),
    )
    made = certificate.write_certificate(folder, opened.model, found.evidence, facts)
    own, best = opened.model.policy, from_config(made["policy"])
    holds = {"certificate": certificate.summary(made)} if own == best else {}
    tell(folder, opened.model, holds)
    if found.why:
        raise UserError(found.why)
    if not holds:
        raise UserError(
            f"Certified is {best}, and the model uses {own}: tokenexit calibrate with the same "
            "--promise would make it use what it certifies."
        )
    return made, " ".join(certificate_sentences(holds))


def tell(folder: Path, model: Any, certificate: dict[str, Any]) -> None:
    """Let the model's card, and the report of its run, tell of the certificate that is there."""
    from tokenexit.models.folders import read_json, save_settings

    def renewed(told: Any) -> dict[str, Any]:
        return {k: v for k, v in (told or {}).items() if k != "certificate"} | certificate

    model.configure(calibration=renewed(model.settings.calibration) or None)
    record, path = {}, folder / "calibration.json"
    if path.is_file():
        record[path.name] = files.to_json(renewed(read_json(path)), indent=2) + "\n"
    save_settings(model, folder, record)
