"""The command line: parses, calls, prints. Everything heavy is imported when it is called."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from hgcube.errors import HgcubeError, MissingExtraError, OptionError, UnknownLabelError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

app = typer.Typer(
    name="hgcube",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Store = Annotated[Path, typer.Argument(help="Folder with study.toml.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same study.")]
Labels = Annotated[list[str] | None, typer.Option(help="May be given several times.")]


class Format(StrEnum):
    """How a table is printed."""

    table = "table"
    csv = "csv"
    parquet = "parquet"


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; a user's mistake is one message and exit code 2.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the process by default.
    """
    given = sys.argv[1:] if arguments is None else arguments
    try:
        app(given)
    except HgcubeError as error:
        if "--debug" in given:
            raise
        _refuse(error)
    except OSError as error:
        if "--debug" in given:
            raise
        _refuse(
            OptionError(
                "files and folders that can be read and written",
                str(error),
                "Check the path and the free space",
            )
        )


def _refuse(error: HgcubeError) -> NoReturn:
    typer.echo(f"hgcube: {error}", err=True)
    raise SystemExit(2) from None


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error arose.")] = False,
) -> None:
    """Labeled high-gamma cubes, encoding models, and what their scores are worth."""
    if debug:
        import logging

        logging.basicConfig(level=logging.INFO)
        logging.getLogger("hgcube").setLevel(logging.DEBUG)


@app.command()
def demo(
    dest: Annotated[Path, typer.Argument(help="Folder to make.")] = Path("hgcube-demo"),
    subjects: Annotated[int, typer.Option(help="Simulated subjects.")] = 3,
    electrodes: Annotated[int, typer.Option(help="Electrodes of each.")] = 24,
    seed: Seed = 0,
    workers: Annotated[int | None, typer.Option(help="Worker processes.")] = None,
) -> None:
    """Do the main job on simulated recordings, from a BIDS folder to a report."""
    from hgcube.demo import demo as run_demo

    found = run_demo(dest, n_subjects=subjects, n_electrodes=electrodes, seed=seed, workers=workers)
    for store, what in (("field", "the default analysis"), ("paper", "the paper's settings")):
        typer.echo(f"\nVerdicts by {what} (simulated recordings, toy embedding):")
        verify(dest / store)
        typer.echo(f"Report: {dest / store / 'report.html'}")
    typer.echo(
        "\nElectrodes with planted word information, and without any, in the default analysis:"
    )
    typer.echo(found.to_string(index=False))


@app.command()
def simulate(
    dest: Annotated[Path, typer.Argument(help="BIDS folder to make.")],
    subjects: Annotated[int, typer.Option(help="People who read.")] = 10,
    words: Annotated[int, typer.Option(help="Words that each of them reads.")] = 100,
    electrodes: Annotated[int | None, typer.Option(help="Of each; 54-127 if not said.")] = None,
    sampling_frequency: Annotated[float, typer.Option(help="Hz.")] = 1024.0,
    audio_frequency: Annotated[float, typer.Option(help="Hz.")] = 48_000.0,
    seed: Seed = 0,
) -> None:
    """Write a BIDS data set with NWB files whose truth is known."""
    import hgcube

    path = hgcube.simulate(
        dest,
        n_subjects=subjects,
        n_words=words,
        n_electrodes=electrodes,
        sampling_frequency=sampling_frequency,
        audio_frequency=audio_frequency,
        seed=seed,
    )
    typer.echo(path)


@app.command()
def init(
    store: Store,
    source: Annotated[Path, typer.Option(help="BIDS folder.")],
    preset: Annotated[str, typer.Option(help="field, paper or authors.")] = "field",
) -> None:
    """Make a store: a folder with a commented study.toml."""
    from hgcube.store import create

    typer.echo(create(store, source=source, preset=preset))


@app.command()
def run(
    store: Store,
    steps: Annotated[str | None, typer.Option(help="Only these, joined by commas.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address, scheduler file, threads or synchronous.")
    ] = None,
) -> None:
    """Make every part that is missing, stale or failed."""
    import hgcube

    try:
        outcome = hgcube.run(
            store, steps=steps.split(",") if steps else None, workers=workers, scheduler=scheduler
        )
    except KeyboardInterrupt:
        typer.echo("Stopped. What was made is kept: run it again to go on.", err=True)
        raise typer.Exit(130) from None
    typer.echo(
        f"{len(outcome.made)} made, {len(outcome.failed)} failed, {len(outcome.waiting)} waiting"
    )
    if not outcome.complete:
        raise typer.Exit(1)


@app.command()
def embed(
    store: Store,
    embedding: Annotated[str, typer.Option(help="NAME of [embeddings.NAME].")],
    family: Annotated[str | None, typer.Option(help="NAME itself, if not said.")] = None,
    model: Annotated[str | None, typer.Option(help="File, folder or name of the hub.")] = None,
    layers: Annotated[str | None, typer.Option(help="all, penultimate, last, or 3,4.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address, scheduler file, threads or synchronous.")
    ] = None,
) -> None:
    """Make the features of one embedding, and a page that shows how alike words are in it."""
    import pandas as pd

    from hgcube.pipeline import embed_study
    from hgcube.reporting import embedding_page, spaces

    given = {"family": family, "model": model, "layers": _layers(layers)}
    stated = {name: value for name, value in given.items() if value is not None}
    outcome = embed_study(store, embedding, stated, workers=workers, scheduler=scheduler)
    if not outcome.complete:
        raise typer.Exit(1)
    typer.echo(pd.DataFrame(spaces(store, embedding)).to_string(index=False))
    typer.echo(embedding_page(store, embedding))


def _layers(stated: str | None) -> str | list[int] | None:
    if stated is None or stated in ("all", "penultimate", "last"):
        return stated
    try:
        return [int(layer) for layer in stated.split(",")]
    except ValueError:
        raise OptionError(
            "--layers all, penultimate, last, or numbers joined by commas", stated, "Correct it"
        ) from None


@app.command()
def embeddings() -> None:
    """List the embeddings: what each makes, what it needs, and what of that is not here."""
    from rich.console import Console

    from hgcube.embeddings.families import table

    width = max(Console().width, 120)
    Console(markup=False, highlight=False, width=width).print(table())


@app.command()
def plan(store: Store) -> None:
    """Show what a run would do: parts, tasks and memory per task."""
    from dask.utils import format_bytes

    import hgcube

    planned = hgcube.plan(store)
    typer.echo(planned.to_string(index=False, formatters={"bytes_per_task": format_bytes}))


@app.command()
def status(store: Store) -> None:
    """Show which parts are done, and why the others are not."""
    import hgcube

    typer.echo(hgcube.status(store).to_string(index=False))


@app.command()
def query(  # noqa: PLR0913 - one option per label
    store: Store,
    variable: Annotated[str, typer.Argument(help="Such as skill or r_across_words.")],
    subject: Labels = None,
    region: Labels = None,
    space: Labels = None,
    solver: Labels = None,
    predictor: Labels = None,
    word: Labels = None,
    form: Annotated[Format, typer.Option("--format")] = Format.table,
    output: Annotated[Path | None, typer.Option(help="File to write.")] = None,
) -> None:
    """Print one variable of the results, by labels."""
    given = {
        "subject": subject,
        "region": region,
        "space": space,
        "solver": solver,
        "predictor": predictor,
        "word": word,
    }
    labels = {name: values for name, values in given.items() if values}
    _tell_stale(store)
    found = _holding(store, variable)[variable].hg.sel(**labels)
    _print(found.to_dataframe().reset_index(), form, output, variable)


@app.command()
def verify(store: Store) -> None:
    """Print the verdict of every subject and embedding."""
    import hgcube

    _tell_stale(store)
    verdicts = hgcube.open_cube(store, "verdicts")
    frame = verdicts["verdict"].to_dataframe().reset_index()
    for _, row in frame.iterrows():
        typer.echo(f"{row['subject']} {row['space']}: {row['verdict']}")


@app.command()
def report(store: Store) -> None:
    """Write the report, one page of HTML, into the store."""
    import hgcube

    _tell_stale(store)
    typer.echo(hgcube.report(store))


@app.command()
def export(
    store: Store,
    dest: Annotated[Path, typer.Argument(help="File that ends in .parquet or .fif.")],
    subject: Annotated[str, typer.Option(help="Subject.")],
    target: Annotated[str, typer.Option(help="mean or windows.")] = "windows",
) -> None:
    """Write one subject's single-word epochs for other tools."""
    import hgcube

    epochs = hgcube.open_cube(store, "epochs", subject=subject, target=target)
    if dest.suffix == ".fif":
        from hgcube.io.fif import epochs_to_fif

        epochs_to_fif(epochs, dest)
    elif dest.suffix == ".parquet":
        _print(epochs.to_dataframe().reset_index(), Format.parquet, dest, "epochs")
    else:
        raise OptionError("a file that ends in .parquet or .fif", str(dest), "Rename it")
    typer.echo(dest)


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes; not to be quoted.")] = False,
    only: Labels = None,
    share: Annotated[float, typer.Option(help="Of the study's targets.")] = 1.0,
    json: Annotated[Path | None, typer.Option(help="File to write as well.")] = None,
) -> None:
    """Measure speed and memory beside other programs, on synthetic features.

    The rows are leave_one_out, standardized, grid, high_gamma and threads; study, which takes
    hours, is run with --only study.
    """
    from hgcube import benchmarking

    measured = benchmarking.bench(only or (), quick=quick, share=share)
    for name, fact in benchmarking.machine().items():
        typer.echo(f"{name}: {fact}")
    for name, why in benchmarking.absent().items():
        typer.echo(f"left out: {name} ({why})")
    typer.echo(f"\n{benchmarking.TITLE}\n{benchmarking.header()}")
    rows = []
    for row in measured:
        typer.echo(benchmarking.line(row))
        rows.append(row)
    if json is not None:
        benchmarking.write_json(json, rows)


@app.command()
def version() -> None:
    """Print the version."""
    from hgcube import __version__

    typer.echo(__version__)


def _tell_stale(store: Path) -> None:
    """Say that stored numbers are not those of today's settings; they are shown all the same."""
    import hgcube

    try:
        stale = hgcube.status(store).query("state == 'stale'")
    except HgcubeError:
        # Without the sources or a readable study.toml there is nothing to compare with.
        return
    if len(stale):
        first = stale.iloc[0]
        typer.echo(
            f"{len(stale)} parts are stale, such as {first['kind']}/{first['key']} "
            f"({first['why']}): run 'hgcube run {store}'",
            err=True,
        )


def _holding(store: Path, variable: str) -> xr.Dataset:
    import hgcube

    tables: list[xr.Dataset] = [hgcube.open_results(store, by=by) for by in ("electrode", "word")]
    for table in tables:
        if variable in table.data_vars:
            return table
    raise UnknownLabelError.of("variable", variable, [str(v) for t in tables for v in t.data_vars])


def _print(frame: pd.DataFrame, form: Format, output: Path | None, variable: str) -> None:
    if form is Format.parquet:
        _write_parquet(frame, output)
    elif form is Format.csv:
        frame.to_csv(sys.stdout if output is None else output, index=False)
    else:
        shown = ("space", "solver", "predictor", "null", "electrode", "word", "lag")
        named = (*shown, "subject", "region", "text", variable)
        text = frame[[name for name in named if name in frame]].to_string(index=False)
        if output is None:
            typer.echo(text)
        else:
            output.write_text(text, encoding="utf-8")


def _write_parquet(frame: pd.DataFrame, output: Path | None) -> None:
    if output is None:
        raise OptionError("--output FILE for parquet", "none", "Add --output table.parquet")
    try:
        frame.to_parquet(output, index=False)
    except ImportError:
        raise MissingExtraError(
            "pyarrow for parquet", "no such package", "Run: pip install 'hgcube[parquet]'"
        ) from None


if __name__ == "__main__":
    main()
