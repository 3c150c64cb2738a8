"""The first lines to run: the version and the top-level help are answered before anything is imported."""

import os
import sys

from provisioner import __version__


def main() -> int:
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["-V"]):
        return _print(f"provision {__version__}\n")
    if arguments in (["--help"], ["-h"], ["help"]):
        with open(os.path.join(os.path.dirname(__file__), "help.txt"), encoding="utf-8") as stream:
            return _print(stream.read())

    from provisioner import cli

    return cli.main(arguments)


def _print(text: str) -> int:
    """Write to standard output; a reader that has gone away is no error, a full disk is one."""
    if sys.stdout is None:
        return 0
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"error: standard output: {error.strerror}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
