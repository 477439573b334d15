"""What the scenarios of a proof share: a folder, the program, a PostgreSQL, and the report."""

from __future__ import annotations

import functools
from pathlib import Path

import service
from children import Children
from postgres import Postgres
from report import Report


class Workbench:
    def __init__(self, program: str, folder: Path, children: Children, report: Report) -> None:
        self.program = program
        self.children = children
        self.report = report
        self._folder = folder
        self._count = 0

    @functools.cached_property
    def postgres(self) -> Postgres:
        """A server that starts on first use."""
        return Postgres(self.children, self._folder)

    def folder(self, name: str) -> Path:
        """Creates a new folder."""
        self._count += 1
        folder = self._folder / f"{self._count}-{name}"
        folder.mkdir()
        return folder

    def seed(self, url: str, count: int) -> None:
        service.seed(self.program, self._folder, url, count)
