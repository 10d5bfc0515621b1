"""The command line: `python -m compare`, also installed as `diffmodes`.

Exit codes: 0 done; 1 the work failed; 2 bad input; 3 the engines disagree; 130 interrupted; 143 terminated.
Nothing heavy is imported here: a command loads what it needs when it runs.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import click

from compare.bench.wanted import GROUPS, Wanted
from compare.datasets import OWN
from compare.errors import CompareError, account, one_line, suggestion
from compare.notes.catalogue import CLAIMS
from compare.optimizers import OPTIMIZERS, WITH_MOMENTUM
from compare.settings import AUTO, BACKENDS, DTYPES, Settings
from compare.strategies import ALL, STRATEGIES

INTERRUPTED = 130
"""Exit code after Ctrl-C."""
TERMINATED = 143
"""Exit code after the signal TERM."""

_DEFAULTS = Settings()
_PRESET = "[default: the network's]"
_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 80, "show_default": True}


class Group(click.Group):
    """A group that suggests the command that was probably meant."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of `args`. Raises `click.UsageError` naming those that exist."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            names = self.list_commands(ctx)
            raise click.UsageError(f"unknown command {args[0]!r}: it must be one of {', '.join(names)}.{suggestion(args[0], names)}")
        return super().resolve_command(ctx, args)


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from compare.environment import version

        click.echo(f"diffmodes {version()}")
        context.exit()


@click.group(cls=Group, context_settings=_CONTEXT, no_args_is_help=False, invoke_without_command=True)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version and exit.")
@click.pass_context
def cli(context: click.Context) -> None:
    """Forward-mode or reverse-mode differentiation for this network, and at what
    cost in memory, arithmetic and time?
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@cli.command()
@click.option("--network", default=_DEFAULTS.network, metavar="NAME", help="Network; `list` shows them.")
@click.option("--data", default=None, metavar="NAME", help=f"Data set, {' or '.join(OWN)}; `list --data` shows them.  {_PRESET}")
@click.option(
    "--engine",
    "engines",
    multiple=True,
    default=_DEFAULTS.engines,
    metavar="NAME",
    help=f"Way of differentiating, can be repeated: {', '.join([ALL, *STRATEGIES])}.",
)
@click.option("--backend", default=_DEFAULTS.backend, metavar="NAME", help=f"Arrays: {' or '.join(BACKENDS)}.")
@click.option("--steps", type=int, help=f"Training steps.  {_PRESET}")
@click.option("--batch", type=int, help=f"Examples in a batch.  {_PRESET}")
@click.option("--seed", default=_DEFAULTS.seed, help="Seed of parameters, split and batches.")
@click.option("--dtype", default=_DEFAULTS.dtype, metavar="NAME", help=f"Numbers: {' or '.join(DTYPES)}.")
@click.option("--width", type=int, help=f"Width of the network, as `list` says.  {_PRESET}")
@click.option("--depth", type=int, help=f"Depth of the network, as `list` says.  {_PRESET}")
@click.option("--optimizer", metavar="NAME", help=f"Optimizer: {', '.join(OPTIMIZERS)}.  {_PRESET}")
@click.option("--lr", type=float, help=f"Learning rate.  {_PRESET}")
@click.option("--momentum", type=float, help=f"Momentum, of {', '.join(WITH_MOMENTUM)}.  {_PRESET}")
@click.option(
    "--memory",
    default=AUTO,
    metavar="BYTES",
    help="Bytes that tangents may take (or 256MB), beyond which they go in chunks, and what reverse-checkpoint may take.",
)
@click.option("--rounds", default=_DEFAULTS.rounds, help="Timing rounds, interleaved over the engines.")
@click.option("--agreement-steps", default=_DEFAULTS.agreement_steps, help="Steps of the comparison in float64.")
@click.option("--full", is_flag=True, help="Lift the limits on steps that are dear.")
@click.option("--force", is_flag=True, help="Begin what is predicted not to fit in memory.")
@click.option("--output", default="reports", type=click.Path(path_type=Path), metavar="FOLDER", help="Folder of the report.")
@click.option("--name", default="", metavar="NAME", help="Name of the report's files.  [default: made of the settings]", show_default=False)
def run(output: Path, **options: Any) -> int:
    """Train one network by every engine; measure and report.

    Prints a table and a verdict, and leaves FOLDER/NAME.html and
    FOLDER/NAME.jsonl, the records that the report is made from. What is
    predicted not to fit in 80% of the memory there is ends with exit code 4
    before it begins.
    """
    settings = Settings(**options)
    from compare import commands

    return commands.run(settings, output)


@cli.command(name="list")
@click.option("--data", is_flag=True, help="Show data sets instead.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def listed(data: bool, as_json: bool) -> int:
    """Show the networks, or the data sets.

    Of each network its parameters, inputs, task and data by default, what its
    options mean and where it comes from. Presets of full size have their usual
    names.
    """
    from compare import catalogue

    return catalogue.show_data(as_json=as_json) if data else catalogue.show_networks(as_json=as_json)


@cli.command()
@click.option("--saved", is_flag=True, help="What reverse mode keeps for the backward pass of one step.")
@click.option("--schedule", is_flag=True, help="By which reverse-checkpoint runs the network forward and backward.")
@click.option("--network", default=_DEFAULTS.network, metavar="NAME", help="Network; `list` shows them.")
@click.option("--data", default=None, metavar="NAME", help=f"Data set, {' or '.join(OWN)}; `list --data` shows them.  {_PRESET}")
@click.option("--batch", type=int, help=f"Examples in a batch.  {_PRESET}")
@click.option("--dtype", default=_DEFAULTS.dtype, metavar="NAME", help=f"Numbers: {' or '.join(DTYPES)}.")
@click.option("--width", type=int, help=f"Width of the network, as `list` says.  {_PRESET}")
@click.option("--depth", type=int, help=f"Depth of the network, as `list` says.  {_PRESET}")
@click.option("--memory", default=AUTO, metavar="BYTES", help="Bytes that the schedule may take (or 64MB).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(saved: bool, schedule: bool, as_json: bool, batch: int | None, **options: Any) -> int:
    """Show what a network has about it, from shapes alone.

    --saved lists every array that reverse mode keeps for the backward pass: the
    operation, the layer, shape, dtype and bytes, the line of code, and the total.

    --schedule draws how reverse-checkpoint goes about it: which values between
    layers are kept, which layers are run again and when, with the bytes alive at
    each action, by the cheapest schedule within --memory (without that, by square
    root checkpointing).

    It takes seconds and no memory, whatever the batch.
    """
    if saved == schedule:
        raise click.UsageError("nothing to show: say what, with --saved or --schedule" if not saved else "either --saved or --schedule")
    if saved and options["memory"] != AUTO:
        raise click.UsageError("--memory bounds a schedule, and what --saved lists has none")
    settings = Settings(**options)
    from compare import commands

    return commands.show("saved" if saved else "schedule", settings, batch, as_json=as_json)


@cli.command()
@click.option("--network", default=_DEFAULTS.network, metavar="NAME", help="Network (`list` shows them), or FILE.py:FUNCTION of your own.")
@click.option("--batch", type=int, help=f"Examples in a batch; any number.  {_PRESET}")
@click.option("--memory", metavar="BYTES", help="Budget of all arrays (16GB).  [default: 80% of the memory there is]", show_default=False)
@click.option("--directions", default=1, help="Directions of the forward gradient.")
@click.option("--outputs", type=int, help="Numbers that are put out, which are rows of the Jacobian.  [default: the network's]")
@click.option("--inputs", metavar="SHAPE", help="Of a network of your own: one example, as in 3x32x32 or tokens:16.")
@click.option("--loss", metavar="NAME", help="Of a network of your own: cross_entropy, mse, l1 or bce.  [default: cross_entropy]")
@click.option("--data", default=None, metavar="NAME", help=f"Data set that gives the shapes; `list --data` shows them.  {_PRESET}")
@click.option("--dtype", default=_DEFAULTS.dtype, metavar="NAME", help=f"Numbers: {' or '.join(DTYPES)}.")
@click.option("--width", type=int, help=f"Width of the network, as `list` says.  {_PRESET}")
@click.option("--depth", type=int, help=f"Depth of the network, as `list` says.  {_PRESET}")
@click.option("--optimizer", metavar="NAME", help=f"Optimizer: {', '.join(OPTIMIZERS)}.  {_PRESET}")
@click.option("--no-flips", is_flag=True, help="Do not look for where the advice would flip.")
@click.option("--thorough", is_flag=True, help="Plan all chunks also of what is far too dear.")
@click.option("--layers", is_flag=True, help="Show FLOPs and bytes of the advised way by layer and phase.")
@click.option("--schedule", is_flag=True, help="Draw the checkpoints that fit the budget.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FOLDER", help="Leave a page and its records in FOLDER.")
@click.option("--name", default="", metavar="NAME", help="Name of these files.  [default: the network's, with -plan]", show_default=False)
def plan(output: Path | None, name: str, no_flips: bool, as_json: bool, layers: bool, schedule: bool, **options: Any) -> int:
    r"""Plan what every way of differentiating a network costs, from shapes alone.

    Operations, bytes and seconds of reverse mode, with and without checkpoints,
    forward mode in chunks, forward gradients, Hessian products and Jacobians;
    which is the fastest that fits the memory; and at which batch, depth, number
    of outputs or budget that would be another.

    A FILE of your own has a function that gets the layers of an engine:

    \b
      def build(nn):                     # or build(nn, outputs=10, depth=2)
          return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))

    Nothing is computed, so it takes seconds and no memory, whatever the batch.
    """
    from compare.planning.wishes import Wishes

    wishes = Wishes(**options, flips=not no_flips)
    from compare import commands

    return commands.plan(wishes, output, name, as_json=as_json, layers=layers, schedule=schedule)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="PATH", show_default=False, help="The report.  [default: FILE with .html]"
)
def report(file: Path, output: Path | None) -> int:
    """Make the page of `run`, `plan` or `bench` again from the records in FILE."""
    from compare import commands

    return commands.report(file, output)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def env(as_json: bool) -> int:
    """Print what measurements are made with: machine and software."""
    from compare import commands

    return commands.env(as_json=as_json)


@cli.command()
@click.option("--only", multiple=True, metavar="GROUP", help=f"Group, can be repeated: {', '.join(GROUPS)}.  [default: all]")
@click.option("--rounds", type=int, metavar="N", help="Rounds of every contest.  [default: up to 30, in a few seconds each]")
@click.option("--quick", is_flag=True, help="Few rounds, no networks of full size.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
@click.option("--output", default="reports", type=click.Path(path_type=Path), metavar="FOLDER", help="Folder of the page.")
def bench(output: Path, as_json: bool, **options: Any) -> int:
    """Measure both engines against their peers, in a few minutes.

    Seconds, operations and bytes beside hand-written numpy, jax, PyTorch and
    HIPS autograd (the last two where they are installed), as ratios with
    the bounds they are wanted to keep. Leaves FOLDER/bench.html, and
    FOLDER/bench.jsonl, the records that it is made from.
    """
    wanted = Wanted(**options)
    from compare import commands

    return commands.bench(wanted, output, as_json=as_json)


@cli.command()
@click.option("--force", is_flag=True, help="Measure again what is known already.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def calibrate(force: bool, as_json: bool) -> int:
    """Measure what this machine takes, so that times can be predicted.

    numpy's functions, products of matrices, memory, the rules of all kernels and
    the engines' own work, in a minute or two. What is found is kept for this
    machine and this software in the user's cache (or the file that the variable
    DIFFMODES_CALIBRATION names), and printed.
    """
    from compare import commands

    return commands.calibrate(force=force, as_json=as_json)


@cli.command()
@click.argument("kernels", nargs=-1, metavar="[KERNEL]...")
@click.option("--backend", default="all", metavar="NAME", help="Arrays: numpy, jax or all.")
@click.option("--engine", default="all", metavar="NAME", help="Engine: revdiff, dualdiff or all.")
@click.option("--no-torch", is_flag=True, help="Leave out PyTorch as an oracle.")
@click.option("--no-jax", is_flag=True, help="Leave out jax as an oracle.")
@click.option("--jobs", type=int, metavar="N", help="Processes at once.  [default: one per core]", show_default=False)
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write the page.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the records, one JSON object a line.")
def check(kernels: tuple[str, ...], html: Path | None, output: Path | None, jobs: int | None, **options: Any) -> int:
    """Check that all kernels agree: rules, engines, backends, oracles.

    Every KERNEL (all by default) on every row of the scenario table, to
    second order. Prints a matrix of what was checked and every disagreement.
    """
    from compare.check.selection import Selection
    from compare.environment import usable_cores

    wanted = {"backend": options["backend"], "engine": options["engine"], "torch": not options["no_torch"], "jax": not options["no_jax"]}
    selection = Selection(kernels=kernels, jobs=usable_cores() if jobs is None else jobs, **wanted)
    from compare import commands

    return commands.check(selection, html, output)


@cli.command()
@click.option("--network", default=_DEFAULTS.network, metavar="NAME", help="Network; `list` shows them.")
@click.option("--data", default=None, metavar="NAME", help=f"Data set, {' or '.join(OWN)}; `list --data` shows them.  {_PRESET}")
@click.option(
    "--engine",
    "engines",
    multiple=True,
    default=_DEFAULTS.engines,
    metavar="NAME",
    help=f"Way of differentiating, can be repeated: {', '.join([ALL, *STRATEGIES])}.",
)
@click.option(
    "--backend", "backends", multiple=True, default=BACKENDS, metavar="NAME", help=f"Arrays, can be repeated: {' or '.join(BACKENDS)}."
)
@click.option("--batch", type=int, help=f"Examples in a batch.  {_PRESET}")
@click.option("--dtype", default=_DEFAULTS.dtype, metavar="NAME", help=f"Numbers: {' or '.join(DTYPES)}.")
@click.option("--width", type=int, help=f"Width of the network, as `list` says.  {_PRESET}")
@click.option("--depth", type=int, help=f"Depth of the network, as `list` says.  {_PRESET}")
@click.option("--memory", default=AUTO, metavar="BYTES", help="As for `run`.")
@click.option("--full", is_flag=True, help="Lift the limit on steps that are dear.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def truth(backends: tuple[str, ...], as_json: bool, **options: Any) -> int:
    """Measure one step in every way there is, beside the ledger.

    Peak memory by tracemalloc, the resident set, XLA and the device; operations
    by XLA, PyTorch's counter and the processor. What a machine cannot measure
    is named, with the reason.
    """
    settings = [Settings(backend=backend, **options) for backend in dict.fromkeys(backends)]
    from compare import commands

    return commands.truth(settings, as_json=as_json)


class Claims(click.Command):
    """A command whose help lists the claims."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The claims by number and name."""
        with formatter.section("Claims"):
            formatter.write_dl([(f"{entry.number:2d} {entry.slug}", entry.text) for entry in CLAIMS])


@cli.command(cls=Claims)
@click.argument("claims", nargs=-1, metavar="[CLAIM]...")
@click.option("--output", default="reports", type=click.Path(path_type=Path), metavar="FOLDER", help="Folder of the page.")
@click.option("--fresh", is_flag=True, help="Measure again what is recorded already.")
def notes(claims: tuple[str, ...], output: Path, fresh: bool) -> int:
    """Show what the notes claim by running it, in a few minutes.

    Every CLAIM (all by default; number or name) is an experiment with both
    engines. Prints a verdict on each and leaves FOLDER/notes.html, and
    FOLDER/notes.jsonl, where each claim is kept as soon as it is measured: a
    run that was interrupted goes on where it ended.
    """
    from compare import commands

    return commands.notes(claims, output, fresh=fresh)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; `arguments` default to those of the process."""
    signal.signal(signal.SIGINT, _interrupt)
    for wanted in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(wanted, _terminate)
    sys.exit(_main(list(sys.argv[1:] if arguments is None else arguments)))


class _Terminated(BaseException):
    """The signal TERM, as an exception, so that workers are ended and nothing half-written stays."""


def _deaf() -> None:
    """Let no further signal interrupt the cleaning up that the first one began."""
    for wanted in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(wanted, signal.SIG_IGN)


def _interrupt(*_: object) -> NoReturn:
    _deaf()
    raise KeyboardInterrupt


def _terminate(*_: object) -> NoReturn:
    _deaf()
    raise _Terminated


def _main(arguments: list[str]) -> int:
    name = "diffmodes" if Path(sys.argv[0]).stem == "diffmodes" else "python -m compare"
    try:
        with cli.make_context(name, arguments) as context:
            code = cli.invoke(context)
            sys.stdout.flush()
            return int(code or 0)
    except click.exceptions.Exit as request:
        return request.exit_code
    except click.UsageError as error:
        where = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
        return _fail(error.format_message().rstrip(".") + where, error.exit_code)
    except click.ClickException as error:
        return _fail(error.format_message(), error.exit_code)
    except CompareError as error:
        return _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted", INTERRUPTED)
    except _Terminated:
        return _fail("terminated", TERMINATED)
    except OSError as error:
        # Standard output cannot be written to, and Python must not find that out again when it flushes at exit.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1 if isinstance(error, BrokenPipeError) else _fail(f"cannot write: {error.strerror or error}", 1)
    except Exception as error:  # a fault of ours; one line for a person, the whole for a developer who asks
        if os.environ.get("DIFFMODES_DEBUG"):
            raise
        return _fail(f"internal error: {account(error)}; DIFFMODES_DEBUG=1 shows where it came from", 1)


def _fail(message: str, code: int) -> int:
    with suppress(OSError):
        print(f"compare: {one_line(message)}", file=sys.stderr)
    return code
