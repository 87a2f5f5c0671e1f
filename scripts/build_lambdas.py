"""Builds the Lambda packages and their layers into dist/, with the same bytes on every machine.

Entries are sorted and carry a fixed date and mode. They are stored uncompressed, because deflate's bytes
differ between zlib builds; a layer that would be too large keeps the compressed bytes that its wheels hold.
The wheels are those whose hashes the requirements files pin. A package is written only when its bytes change,
so Terraform sees only true changes.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAMBDAS = ROOT / "lambdas"
SHARED = LAMBDAS / "shared"
#: Downloaded wheels, found again by their hashes.
WHEELS = ROOT / "build" / "wheels"
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
FILE_MODE = 0o100644 << 16
LAMBDA_PYTHON = "3.12"
# What the runtime's Amazon Linux 2023 can load: pip takes no newer platform to include the older ones.
LAMBDA_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64")
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
UPLOAD_BYTES_MAXIMUM = 50 * 1024 * 1024
SKIPPED_DIRECTORIES = {"__pycache__"}
SKIPPED_SUFFIXES = {".pyc", ".orig", ".rej"}
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)==(?P<version>\S+)(?P<hashes>(\s+--hash=sha256:[0-9a-f]{64})+)")
# Of a wheel's <name>.data, what belongs beside its modules; the rest is for the machine that installs it.
_WHEEL_DATA = re.compile(r"[^/]+\.data/(?P<scheme>[^/]+)/(?P<rest>.+)")
_WHEEL_LIBRARIES = {"purelib", "platlib"}


class BuildError(Exception):
    """A package cannot be built; the message says what to do."""


@dataclass(frozen=True)
class Layer:
    """A layer: dist/layers/<name>.zip from pinned wheels.

    ``unused`` names what nothing imports, as folders and file endings.
    """

    name: str
    requirements: Path
    unused: tuple[str, ...] = ()
    compressed: bool = False

    def needs(self, name: str) -> bool:
        """Return whether something imports the file of a wheel, going by its path there."""
        endings = tuple(each for each in self.unused if each.startswith("."))
        return not name.endswith(endings) and not set(Path(name).parent.parts).intersection(self.unused)


LAYERS = (
    Layer("powertools", LAMBDAS / "requirements.txt"),
    Layer(
        "imaging",
        LAMBDAS / "requirements-imaging.txt",
        unused=("tests", "f2py", "typing", "_pyinstaller", "include", ".pyi", ".pxd", ".a", ".h"),
        compressed=True,
    ),
)


@dataclass(frozen=True)
class Deflated:
    """A file's content as an archive holds it: deflated, with the checksum and size of what it unpacks to."""

    data: bytes
    crc: int
    size: int


Content = bytes | Deflated


# ---- archives ----------------------------------------------------------------------------------------------


def function_names(lambdas: Path = LAMBDAS) -> list[str]:
    """Return the functions' names: the folders of `lambdas` that hold a handler.py."""
    return sorted(path.parent.name for path in lambdas.glob("*/handler.py"))


def files_below(folder: Path) -> dict[str, bytes]:
    """Return the contents of a folder's files by archive name, without what a machine leaves behind."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and _belongs(path.relative_to(folder))
    }


def _belongs(path: Path) -> bool:
    return not (
        path.suffix in SKIPPED_SUFFIXES
        or path.name.endswith("~")
        or SKIPPED_DIRECTORIES.intersection(path.parts)
        # Caches and what editors and operating systems hide.
        or any(part.startswith(".") or part.endswith(".egg-info") for part in path.parts)
    )


def merged(*parts: Mapping[str, Content]) -> dict[str, Content]:
    """Return the entries of all parts, none of which may be in two."""
    entries: dict[str, Content] = {}
    for part in parts:
        twice = sorted(entries.keys() & part.keys())
        if twice:
            raise BuildError(f"{twice[0]} would be twice in a package: rename one of the two files.")
        entries |= part
    return entries


def zip_bytes(entries: Mapping[str, Content]) -> bytes:
    """Return a zip archive of contents by name whose bytes depend on nothing else."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(entries):
            info = zipfile.ZipInfo(name, ZIP_DATE)
            info.external_attr = FILE_MODE
            # Fixed, because the default records the system that ran the build.
            info.create_system = 3
            content = entries[name]
            if isinstance(content, Deflated):
                _write_deflated(archive, info, content)
            else:
                archive.writestr(info, content)
    return buffer.getvalue()


def _write_deflated(archive: zipfile.ZipFile, info: zipfile.ZipInfo, content: Deflated) -> None:
    """Add bytes that are deflated already; zipfile itself would unpack them and deflate them anew."""
    file = archive.fp
    assert file is not None  # noqa: S101 - the archive is open
    info.compress_type = zipfile.ZIP_DEFLATED
    info.CRC, info.compress_size, info.file_size = content.crc, len(content.data), content.size
    info.header_offset = file.tell()
    file.write(info.FileHeader(zip64=False) + content.data)
    archive.filelist.append(info)
    archive.NameToInfo[info.filename] = info
    archive.start_dir = file.tell()
    # Has the archive write its directory at the end.
    archive._didModify = True  # type: ignore[attr-defined]


def write_if_changed(target: Path, content: bytes) -> bool:
    """Write a file unless it holds these bytes already; return whether it was written."""
    if target.exists() and target.read_bytes() == content:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(target)
    return True


# ---- wheels ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Requirement:
    """One pinned wheel of the layer."""

    name: str
    version: str
    hashes: frozenset[str]


def pinned(text: str, name: str = "lambdas/requirements.txt") -> list[Requirement]:
    """Return what the requirements file `name` pins, every line by version and hash."""
    lines = re.sub(r"\\\n", " ", text).splitlines()
    found = []
    for line in lines:
        line = line.partition(" #")[0].strip()
        if not line or line.startswith("#"):
            continue
        match = _REQUIREMENT.fullmatch(line)
        if not match:
            raise BuildError(
                f"{name} has the line {line!r}; allowed: <name>==<version> "
                "--hash=sha256:<64 digits>, as `pip hash <wheel>` prints it."
            )
        hashes = frozenset(part.removeprefix("--hash=sha256:") for part in match["hashes"].split())
        found.append(Requirement(match["name"], match["version"], hashes))
    if not found:
        raise BuildError(f"{name} pins nothing, so that there is no layer to build.")
    return found


def wheels(requirements: Path, cache: Path) -> list[Path]:
    """Return the wheels that a requirements file pins, downloaded unless the cache has them."""
    wanted = pinned(requirements.read_text(encoding="utf-8"), f"lambdas/{requirements.name}")
    if _missing(wanted, cache):
        _download(requirements, cache)
    missing = _missing(wanted, cache)
    if missing:
        raise BuildError(
            f"pip downloaded no wheel of {missing[0].name} {missing[0].version} that has the hash in "
            f"lambdas/{requirements.name}."
        )
    there = _by_hash(cache)
    return [next(there[digest] for digest in one.hashes if digest in there) for one in wanted]


def _missing(wanted: Iterable[Requirement], cache: Path) -> list[Requirement]:
    there = _by_hash(cache).keys()
    return [one for one in wanted if not one.hashes & there]


def _by_hash(cache: Path) -> dict[str, Path]:
    return {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in cache.glob("*.whl")}


def _download(requirements: Path, cache: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--require-hashes", "--no-deps", "--only-binary=:all:"]
    for platform in LAMBDA_PLATFORMS:
        command += ["--platform", platform]
    command += ["--python-version", LAMBDA_PYTHON, "--dest", str(cache), "--requirement", str(requirements)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BuildError(
            f"The layer could not be built: pip could not fetch what lambdas/{requirements.name} pins.\n"
            f"Check that PyPI is reachable, then run `make build` again.\n{result.stderr.strip()}"
        )


def wheel_files(wheel: Path, compressed: bool = False) -> dict[str, Content]:
    """Return what a wheel puts beside other modules, by its path there; compressed as it is in the wheel."""
    entries: dict[str, Content] = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            data = _WHEEL_DATA.fullmatch(name)
            # RECORD lists what an installation has, which this is not.
            if name.endswith(("/", ".dist-info/RECORD")) or (data and data["scheme"] not in _WHEEL_LIBRARIES):
                continue
            entries[data["rest"] if data else name] = (
                _deflated(archive, archive.getinfo(name)) if compressed else archive.read(name)
            )
    return entries


def _deflated(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Content:
    file = archive.fp
    if info.compress_type != zipfile.ZIP_DEFLATED or file is None:
        return archive.read(info)
    file.seek(info.header_offset)
    # The local header: 30 bytes, whose last four are the lengths of the name and of the extra field after it.
    header = file.read(30)
    file.seek(sum(struct.unpack("<HH", header[26:])), io.SEEK_CUR)
    return Deflated(file.read(info.compress_size), info.CRC, info.file_size)


# ---- the packages ------------------------------------------------------------------------------------------


def build_function(name: str, dist: Path) -> bool:
    """Build dist/lambdas/<name>.zip: the function's folder and the shared package."""
    entries = merged(files_below(LAMBDAS / name), files_below(SHARED))
    return write_if_changed(dist / "lambdas" / f"{name}.zip", zip_bytes(entries))


def build_layer(layer: Layer, dist: Path) -> bool:
    """Build dist/layers/<name>.zip from the layer's pinned wheels."""
    found = wheels(layer.requirements, WHEELS)
    entries = merged(*(wheel_files(wheel, layer.compressed) for wheel in found))
    content = zip_bytes({f"python/{name}": entry for name, entry in entries.items() if layer.needs(name)})
    if len(content) > UPLOAD_BYTES_MAXIMUM:
        raise BuildError(
            f"The layer {layer.name} has {len(content):,} bytes; Lambda takes at most "
            f"{UPLOAD_BYTES_MAXIMUM:,}. Name more that nothing imports in LAYERS of scripts/build_lambdas.py."
        )
    return write_if_changed(dist / "layers" / f"{layer.name}.zip", content)


def remove_stale(names: Iterable[str], dist: Path) -> None:
    """Remove the packages of functions that no longer exist."""
    kept = {f"{name}.zip" for name in names}
    for package in (dist / "lambdas").glob("*.zip"):
        if package.name not in kept:
            package.unlink()


def checksums(dist: Path) -> list[str]:
    """Return one line per package, as sha256sum prints and checks them."""
    packages = sorted(path for path in dist.glob("*/*.zip"))
    return [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(dist.parent).as_posix()}"
        for path in packages
    ]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="where to build (default: dist)")
    parser.add_argument("--clean", action="store_true", help="build everything anew")
    parser.add_argument("--checksums", action="store_true", help="print the SHA-256 of every package")
    arguments = parser.parse_args(argv)
    dist = arguments.dist.resolve()
    if arguments.clean:
        shutil.rmtree(dist, ignore_errors=True)
    names = function_names()
    if not names:
        sys.exit(f"No function found: {LAMBDAS} holds no folder with a handler.py.")
    try:
        written = [name for name in names if build_function(name, dist)]
        written += [f"{layer.name} layer" for layer in LAYERS if build_layer(layer, dist)]
    except BuildError as error:
        sys.exit(str(error))
    remove_stale(names, dist)
    print(
        f"build: {len(names)} functions and {len(LAYERS)} layers, {len(written)} written"
        + (f" ({', '.join(written)})" if written else "")
    )
    if arguments.checksums:
        print("\n".join(checksums(dist)))


if __name__ == "__main__":
    main()
