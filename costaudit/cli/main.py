"""The program: its commands, and the one place where errors are printed and exit codes chosen."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from typing import Annotated

import typer

from costaudit.ground.errors import CostauditError

EXIT_USAGE, EXIT_TARGET, EXIT_INTERRUPTED, EXIT_PIPE = 2, 4, 130, 141
_HELP = """Where the money of your LLM inference goes, what to fix first, what that saves.

Start with `costaudit profile demo`: it audits a small model with random weights, right here."""
_EXIT_CODES = """Exit codes: 0 done or passed, 1 budget broken, 2 usage or configuration,
3 inconclusive, 4 target failed or unreachable, 5 nothing could be recorded, 130 interrupted."""

# Where each command stands: to load the flags of all takes a fifth of a short run.
_COMMANDS = {
    "profile": "profile.profile",
    "report": "report.report",
    "import": "import_capture.import_capture",
    "gate": "gate.gate",
    "diagnose": "diagnose.diagnose",
    "watch": "watch.watch",
    "compare": "compare.compare",
    "verify": "verify.verify",
    "price": "price.price",
    "steps": "catalogue.steps",
    "probes": "catalogue.probes",
    "doctor": "doctor.doctor",
}

app = typer.Typer(
    help=_HELP,
    epilog=_EXIT_CODES,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback(invoke_without_command=True)
def _program(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from costaudit import __version__

        typer.echo(f"costaudit {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line and leave with its exit code."""
    code = run(sys.argv[1:])
    gc.freeze()  # all of it goes with the process: to look for garbage first takes half a second
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """The exit code of a command line; every error becomes one sentence and a hint on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that knows ASCII only
    try:
        return _called(arguments)
    except CostauditError as err:
        return _complain(err.message, err.hint, err.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _complain("interrupted", "", EXIT_INTERRUPTED)
    except (BrokenPipeError, SystemExit):  # typer itself leaves with 1 here, our "budget broken"
        # Whoever read our output has left; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE
    except MemoryError:
        hint = "take a smaller model, --batch-size or --kv-budget"
        return _complain("out of memory", hint, EXIT_TARGET)
    except Exception as err:  # noqa: BLE001 - the last line of defence: no traceback for a user
        return _unexpected(err)


def _called(arguments: list[str]) -> int:
    """Typer's answer, except where it keeps Ctrl-C to itself."""
    _load(arguments)
    code = app(arguments, prog_name="costaudit", standalone_mode=False, obj=arguments)
    sys.stdout.flush()
    if code == EXIT_INTERRUPTED:
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


def _load(arguments: list[str]) -> None:
    """The command that is named, once; all of them where none is, for the list of them."""
    named = next((given for given in arguments if not given.startswith("-")), "")
    loaded = {command.name for command in app.registered_commands}
    for name in (named,) if named in _COMMANDS else _COMMANDS:
        if name not in loaded:
            module, _, function = _COMMANDS[name].partition(".")
            app.command(name)(getattr(import_module(f"costaudit.cli.{module}"), function))


def _complain(message: str, hint: str, code: int) -> int:
    typer.echo(f"costaudit: {message}", err=True)
    if hint:
        typer.echo(f"hint: {hint}", err=True)
    return code


def _unexpected(err: Exception) -> int:
    """A wrong command line (typer's own errors know how to say it), else a fault of ours."""
    if hasattr(err, "format_message"):
        message = err.format_message().rstrip(".")
        return _complain(message, "costaudit COMMAND --help lists what there is", EXIT_USAGE)
    if os.environ.get("COSTAUDIT_DEBUG") == "1":
        import traceback

        traceback.print_exception(err)
    what = " ".join(f"{type(err).__name__}: {err}".split())
    return _complain(
        f"this is a fault of costaudit: {what}",
        "COSTAUDIT_DEBUG=1 prints the traceback; please report it with the command you ran",
        EXIT_TARGET,
    )
