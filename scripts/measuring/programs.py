"""The two programs of a comparison: finished ones, or built from a commit. Each is kept where no build replaces it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import machine
import report
import systems
from processes import run


@dataclass(frozen=True)
class Program:
    file: Path
    title: str


def both(this: str | None, other: str, folder: Path) -> tuple[Program, Program]:
    """The program under test: a finished one, or that of this checkout; and the other: a finished one, or a commit's.

    A mistake in either is told before anything is built.
    """
    finished = _finished(this) if this else None
    beside = _finished(other) if Path(other).is_file() else None
    commit = "" if beside else _commit(other)
    # Read before the build, so that it is the commit of what is measured, whatever is edited meanwhile.
    own = "" if finished else machine.commit()
    if not finished:
        systems.build(with_peers=False)
    return (
        _keep(finished or systems.SERVICE, this or f"commit {own}", folder / "this"),
        _keep(beside or _built(commit), other if beside else f"commit {commit[:7]}", folder / "other"),
    )


def _finished(file: str) -> Path:
    if not os.access(file, os.X_OK):
        report.fail(f"{file} is no program")
    return Path(file)


def _commit(name: str) -> str:
    git = ["git", "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]
    found = subprocess.run(git, cwd=systems.ROOT, stdout=subprocess.PIPE, text=True, timeout=10)
    if found.returncode != 0:
        report.fail(f"{name} is neither a file nor a commit")
    return found.stdout.strip()


def _keep(file: Path, title: str, copy: Path) -> Program:
    """A copy: a build may replace the file before the last of its services has started."""
    shutil.copy(file, copy)
    digest = hashlib.sha256(copy.read_bytes()).hexdigest()
    return Program(copy, f"{title} (SHA-256 {digest[:12]})")


def _built(commit: str) -> Path:
    kept = systems.TARGET / "beside" / commit / "user-service"
    if kept.exists():
        return kept
    # Outside of this checkout, whose .cargo/config.toml would add its flags to those of the commit.
    with tempfile.TemporaryDirectory(prefix="user-service-beside-", dir="/var/tmp") as folder:
        source = Path(folder) / "source"
        run(["git", "worktree", "add", "--quiet", "--detach", source, commit], seconds=60, cwd=systems.ROOT)
        try:
            program = _build(source, Path(folder) / "target")
            kept.parent.mkdir(parents=True, exist_ok=True)
            # Renamed last, so that there is none that was copied by half.
            shutil.copy(program, kept.with_suffix(".new"))
            kept.with_suffix(".new").rename(kept)
        finally:
            run(["git", "worktree", "remove", "--force", source], seconds=60, cwd=systems.ROOT)
    return kept


def _build(source: Path, target: Path) -> Path:
    # Before `dist` existed, `release` had its settings.
    profile = "dist" if "[profile.dist]" in (source / "Cargo.toml").read_text() else "release"
    report.step(f"cargo build --profile {profile}, of the commit to compare with")
    build = ["cargo", "build", "--locked", "--quiet", "--profile", profile, "--bin", "user-service"]
    run([*build, "--target-dir", target], seconds=3600, cwd=source)
    return target / profile / "user-service"
