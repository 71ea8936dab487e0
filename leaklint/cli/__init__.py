"""The command line: arguments in, an exit code out."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from leaklint import __version__
from leaklint.cli.check import check
from leaklint.cli.graph import graph
from leaklint.cli.look import dump
from leaklint.cli.rules import explain, rules
from leaklint.cli.units import units
from leaklint.errors import LeaklintError

MISTAKE = 2
INTERRUPTED = 130
"""128 + SIGINT, what a shell reports for a command that ^C ended."""
PIPE_CLOSED = 141
"""128 + SIGPIPE."""


class Commands(click.Group):
    """A group whose default command is `check`: a first word that names no command is a path or an option of `check`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {*self.commands, *(option for parameter in self.get_params(ctx) for option in parameter.opts)}
        if args and args[0] not in own:
            args = ["check", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            # The reader has gone (`| head`). Python flushes stdout once more when it ends, and would complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(PIPE_CLOSED)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[click.shell_completion.CompletionItem]:
        """The commands, and what may stand first because `check` may be left out."""
        below = click.Context(check, info_name="check", parent=ctx)
        paths = [] if incomplete.startswith("-") else check.params[0].shell_complete(below, incomplete)
        return [*super().shell_complete(ctx, incomplete), *check.shell_complete(below, incomplete), *paths]


@click.group(
    cls=Commands,
    no_args_is_help=True,
    subcommand_metavar="PATH... | COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="leaklint", message="%(prog)s %(version)s")
def leaklint() -> None:
    """Find concurrency leaks in Python: tasks, threads, queues, timers and locks that nobody ends.

    `leaklint PATH...` is short for `leaklint check PATH...`, whose options are listed by `leaklint check --help`. A folder that is
    named like a command is given as `./rules`.

    Exit codes: 0 nothing found; 1 leaks found, or a file that could not be read; 2 a mistake in the command line, the settings, a
    rule or a model.

    Tab completion: `eval "$(_LEAKLINT_COMPLETE=bash_source leaklint)"`, also with zsh_source and fish_source.
    """


for command in (check, explain, rules, dump, graph, units):
    leaklint.add_command(command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit. A mistake of the user is one line on stderr and exit code 2; any other exception is a bug and shows."""
    try:
        code = leaklint.main(arguments, prog_name="leaklint", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as bare:
        bare.show()
        code = MISTAKE
    except click.ClickException as mistake:
        code = _complain(mistake.format_message())
    except LeaklintError as mistake:
        code = _complain(str(mistake))
    sys.exit(code or 0)


def _complain(message: str) -> int:
    click.echo(f"leaklint: error: {' '.join(message.split())}", err=True)
    return MISTAKE
