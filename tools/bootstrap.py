"""Set up the environment that `make` runs the project from: a bare Python in, `.venv` out, safe to run again and again.

Standard library only, because it starts where nothing else is installed; Debian's Python lacks even pip and ensurepip.
"""

from __future__ import annotations

import hashlib
import os
import sys

OLDEST_PYTHON = (3, 11)
PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILT_FROM = ("pyproject.toml", "bin/provision", "provisioner/__init__.py")


class SetupError(Exception):
    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"error: {what}\n  fix: {fix}")


def main(arguments: list[str]) -> int:
    venv = os.path.abspath(next((each for each in arguments if not each.startswith("-")), f"{PROJECT}/.venv"))
    locks = ["requirements.lock", "requirements-dev.lock"]
    wanted = locks[1:] if "--dev" in arguments else locks
    try:
        # The development lock holds all that the plain one does, so either will do to run the program.
        if not any(_read(f"{venv}/.complete") == _stamp(lock, venv) for lock in wanted):
            _set_up(venv, wanted[0])
    except SetupError as error:
        print(error, file=sys.stderr)
        return 3
    except OSError as error:
        print(f"error: {error.filename or venv}: {error.strerror}", file=sys.stderr)
        print(
            "  fix: choose a folder that is yours and not full: `make run VENV=~/.cache/provision/venv`",
            file=sys.stderr,
        )
        return 3
    except KeyboardInterrupt:
        print("interrupted; run it again to finish", file=sys.stderr)
        return 5
    return 0


def _stamp(lock: str, venv: str) -> str:
    """Say what a finished environment was made from; another path or Python needs another environment."""
    digest = hashlib.sha256()
    for path in (lock, *BUILT_FROM):
        with open(f"{PROJECT}/{path}", "rb") as file:
            digest.update(hashlib.sha256(file.read()).digest())
    return f"{_base(venv)}\n{lock} {digest.hexdigest()}\n"


def _base(venv: str) -> str:
    return f"{venv} for {PROJECT}, Python {sys.version_info[0]}.{sys.version_info[1]} from {sys.base_prefix}"


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _set_up(venv: str, lock: str) -> None:
    import fcntl

    if sys.version_info < OLDEST_PYTHON:
        raise SetupError(f"Python {sys.version.split()[0]} is too old, 3.11 or newer is needed",
                         "install a newer one and name it: `make run PYTHON=python3.11`")  # fmt: skip
    with open(__file__, "rb") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)  # A second run waits here, and finds the work done.
        if _read(f"{venv}/.complete") != _stamp(lock, venv):
            _make_environment(venv)
            _install(venv, lock)


def _make_environment(venv: str) -> None:
    """Make an empty environment, or keep the one there unless it was left half-made or belongs to another place."""
    import subprocess

    if _read(f"{venv}/.complete").startswith(_base(venv)) and not os.path.exists(f"{venv}/.changing"):
        return
    _make_room(venv)
    _say(f"making {os.path.relpath(venv)} with Python {sys.version.split()[0]}")
    command = [sys.executable, "-m", "venv", "--without-pip", venv]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        raise SetupError(f"no environment could be made in {venv}: {(made.stderr or made.stdout).strip()}",
                         "see that the folder is yours and not full; on Debian or Ubuntu `apt install python3`")  # fmt: skip
    _write(f"{venv}/.complete", f"{_base(venv)}\n")


def _make_room(venv: str) -> None:
    """Empty the folder if this program made it; what somebody else put there is not ours to remove."""
    import shutil

    os.makedirs(venv, exist_ok=True)
    there = os.listdir(venv)
    if there and ".complete" not in there and ".changing" not in there:
        raise SetupError(f"{venv} is there, and `make` did not make it",
                         f"move it away, or choose another folder: `make run VENV={venv}-provision`")  # fmt: skip
    # Whoever finds this file knows that the work below was killed, and starts again from an empty folder.
    _write(f"{venv}/.changing", "")
    for name in there:
        path = f"{venv}/{name}"
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif name != ".changing":
            os.unlink(path)


def _install(venv: str, lock: str) -> None:
    from time import monotonic

    start = monotonic()
    pip = find_pip(venv)
    _say(f"installing the packages of {lock}, each verified by its hash")
    _write(f"{venv}/.changing", "")
    try:
        _run_pip(pip, ["--require-hashes", "--only-binary", ":all:", "-r", f"{PROJECT}/{lock}"])
        _run_pip(pip, ["--no-deps", "--no-build-isolation", "--editable", PROJECT])
    finally:
        # An orderly failure leaves what was there before: pip puts the old packages back.
        os.unlink(f"{venv}/.changing")
    _write(f"{venv}/.complete", _stamp(lock, venv))
    _say(f"ready after {monotonic() - start:.0f} s")


def _run_pip(pip: list[str], arguments: list[str]) -> None:
    import subprocess

    quiet = ["--quiet", "--no-input", "--retries=2", "--disable-pip-version-check", "--no-warn-script-location"]
    result = subprocess.run([*pip, "install", *quiet, *arguments], stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        print(
            *(line for line in result.stderr.splitlines() if not line.startswith("WARNING")), sep="\n", file=sys.stderr
        )
        raise SetupError("the packages could not be installed (pip's own words stand above)",
                         "see that the package index can be reached, or name another: `PIP_INDEX_URL=https://… make run`")  # fmt: skip


def find_pip(venv: str) -> list[str]:
    """Find a pip that installs into the environment without being part of it: one that is here, or else a fetched one."""
    import glob
    import importlib.util
    import subprocess
    import sysconfig

    python = f"{venv}/bin/python"
    ensurepip = importlib.util.find_spec("ensurepip")
    folders = [f"{os.path.dirname(ensurepip.origin)}/_bundled" if ensurepip and ensurepip.origin else None,
               sysconfig.get_config_var("WHEEL_PKG_DIR"), venv]  # fmt: skip
    for folder in folders:
        for wheel in glob.glob(f"{folder}/pip-*.whl"):
            return [python, f"{wheel}/pip"]
    own = [sys.executable, "-m", "pip", "--python", python]
    if subprocess.run([*own, "--version"], capture_output=True, check=False).returncode == 0:
        return own
    return [python, f"{fetch_pip(venv, _read(f'{PROJECT}/tools/pip.lock'))}/pip"]


def fetch_pip(folder: str, lock: str) -> str:
    """Fetch the pip wheel that the lock names from the index that pip itself would ask."""
    from html.parser import HTMLParser
    from urllib.parse import urljoin

    words = lock.replace("\\\n", " ").split()
    name = next(word for word in words if word.startswith("pip==")).replace("==", "-") + "-py3-none-any.whl"
    hashes = {word.removeprefix("--hash=sha256:") for word in words if word.startswith("--hash=")}
    page = index_url().rstrip("/") + "/pip/"
    _say(f"fetching {name}")
    links: list[str] = []

    class Links(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            links.extend(value for key, value in attrs if tag == "a" and key == "href" and value)

    Links().feed(get(page).decode())
    link = next((each for each in links if each.split("#")[0].endswith(f"/{name}")), None)
    if link is None:
        raise SetupError(f"{page} does not offer {name}", "install pip: `apt install python3-pip`")
    content = get(urljoin(page, link.split("#")[0]))
    if hashlib.sha256(content).hexdigest() not in hashes:
        raise SetupError(f"{name} from {page} is not the file that `tools/pip.lock` names",
                         "do not trust this index; install pip from your distribution: `apt install python3-pip`")  # fmt: skip
    with open(f"{folder}/{name}.part", "wb") as file:
        file.write(content)
    os.replace(f"{folder}/{name}.part", f"{folder}/{name}")
    return f"{folder}/{name}"


def get(url: str) -> bytes:
    import ssl
    from urllib.error import URLError
    from urllib.request import urlopen

    if not url.startswith(("https://", "http://")):
        raise SetupError(f"the package index {url} is no web address", "set PIP_INDEX_URL=https://…/simple")
    try:
        context = ssl.create_default_context(cafile=pip_setting("cert") or None)
        with urlopen(url, timeout=60, context=context) as answer:
            content: bytes = answer.read()
            return content
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise SetupError(
            f"{url}: {reason}; this Python has no pip, so it had to be fetched",
            "name an index that can be reached (`PIP_INDEX_URL=https://… make run`), or install pip: `apt install python3-pip`",
        ) from error


def index_url() -> str:
    return pip_setting("index-url") or "https://pypi.org/simple"


def pip_setting(name: str) -> str:
    """Look a setting up where pip does: the environment, then the user's file, then the machine's."""
    from configparser import ConfigParser

    from_environment = os.environ.get("PIP_" + name.upper().replace("-", "_"))
    if from_environment:
        return from_environment
    home = os.path.expanduser("~")
    user = os.environ.get("XDG_CONFIG_HOME", f"{home}/.config")
    files = ("/etc/xdg/pip/pip.conf", "/etc/pip.conf", f"{home}/.pip/pip.conf", f"{user}/pip/pip.conf")
    settings = ConfigParser(interpolation=None)
    settings.read([*files, os.environ.get("PIP_CONFIG_FILE", os.devnull)])
    return next((settings[part][name] for part in ("install", "global") if settings.has_option(part, name)), "")


def _write(path: str, text: str) -> None:
    with open(f"{path}.part", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}.part", path)


def _say(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
