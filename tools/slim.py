"""Take out of a folder of Python packages what only a card would run: 2.4 GB of CUDA's libraries.

torch comes from the package index linked to them, so that they must be there to be loaded; without a card nothing in them
is ever called. Each big one that torch names is exchanged for a library of the same name with the same symbols, which
answers every call with an error; the big ones that nobody names are left out, and the small ones stay what they are.
"""

import glob
import os
import re
import subprocess

from tools.bed import NotHad, check

BIG = 8 << 20
ERROR = "int answer(void) { return 1; }\n"
"""One is an error in every library of CUDA."""

FUNCTION, DATA = frozenset("TWi"), frozenset("BDRVu")
NAME = re.compile(r"[A-Za-z_]\w*")


def slim(packages: str) -> int:
    """The bytes that were saved. Files are exchanged and never written to, because the folder may share them with another."""
    wanted = _wanted(f"{packages}/torch/lib")
    saved = 0
    for path in sorted(glob.glob(f"{packages}/nvidia/**/*.so*", recursive=True)):
        size = os.path.getsize(path)
        if os.path.islink(path) or size < BIG:
            continue
        source = _source(path) if os.path.basename(path) in wanted else None
        os.unlink(path)
        if source:
            _build(path, *source)
        saved += size
    return saved


def _wanted(folder: str) -> frozenset[str]:
    listed = check(["readelf", "--dynamic", *sorted(glob.glob(f"{folder}/*.so*"))])
    return frozenset(re.findall(r"\(NEEDED\).*\[(.+)\]", listed))


def _source(path: str) -> tuple[str, str]:
    """A program with the library's symbols, and which version each of them has."""
    lines = [ERROR]
    versions: dict[str, list[str]] = {}
    for line in check(["nm", "--dynamic", "--defined-only", "--print-size", path]).splitlines():
        kind, symbol = line.split()[-2:]
        name, _, version = symbol.partition("@")
        if not NAME.fullmatch(name) or kind not in FUNCTION | DATA:
            continue
        if kind in FUNCTION:
            lines.append(f'int {name}(void) __attribute__((alias("answer")));\n')
        else:
            lines.append(f"char {name}[{max(1, int(line.split()[1], 16))}];\n")
        if version:
            versions.setdefault(version.lstrip("@"), []).append(name)
    nodes = [
        f"{version} {{ global: {' '.join(f'{name};' for name in names)} }};\n" for version, names in versions.items()
    ]
    return "".join(lines), "".join(nodes)


def _build(path: str, program: str, versions: str) -> None:
    script = f"{path}.versions"
    options = ["-shared", "-fPIC", "-w", "-fno-builtin", f"-Wl,-soname,{os.path.basename(path)}", "-x", "c", "-"]
    with open(script, "w", encoding="utf-8") as file:
        file.write(versions)
    command = ["gcc", *options, "-o", path, *([f"-Wl,--version-script={script}"] if versions else [])]
    built = subprocess.run(command, input=program, capture_output=True, text=True, check=False)
    os.unlink(script)
    if built.returncode:
        raise NotHad(f"no stand-in for {os.path.basename(path)} can be built: {built.stderr.strip()[-300:]}")
