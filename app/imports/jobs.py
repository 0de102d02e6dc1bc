"""The job of an import: a file is checked first, as a stream, and then its good rows are written.

How far a file has become rows is kept with them, in one transaction; so a worker that takes over goes on behind the
last one, and the same file again creates nothing.
"""

import csv
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import cast

import orjson
from sqlalchemy import select

from app.core.clients import storage
from app.core.db.base import Record
from app.core.unit_of_work import insert_on_conflict, unit_of_work
from app.extensions import db
from app.files.models import File
from app.imports.models import Import
from app.imports.service import ATOMIC, PARTIAL
from app.imports.table import read_rows
from app.jobs.kinds import JobFailed, ResultFile, Run
from app.products import service as products
from app.users.models import User

MAX_LISTED = 1_000  # bad rows; a file of 10 MiB can have five million
BATCH_SIZE = 500  # rows that are written at once

Batch = list[tuple[int, products.NewProduct]]


def perform_import(run: Run) -> dict[str, int]:
    """Do an import: the job's result. May be called again after the death of a worker."""
    file = _file(run)
    good, bad = run.folder / "good", run.folder / "bad.csv"
    rows, wrong = _check(run, file.storage_key, good=good, bad=bad)
    created = 0
    if run.params["mode"] == PARTIAL or (run.params["mode"] == ATOMIC and not wrong):
        created = _Writer(run, file.sha256, checked=rows).write(good, total=rows - wrong)
    run.file = ResultFile(bad, f"import-{run.job_id}-bad-rows.csv", "text/csv; charset=utf-8")
    return {"rows": rows, "good": rows - wrong, "bad": wrong, "created": created}


def _file(run: Run) -> Record:
    query = select(File.storage_key, File.sha256).where(File.id == run.params["file_id"], File.user_id == run.user_id)
    file = db.session.execute(query).one_or_none()
    if file is None:
        raise JobFailed("file_gone", "The file has been deleted.")
    return file


def _check(run: Run, key: str, *, good: Path, bad: Path) -> tuple[int, int]:
    """Read the file; keep its good rows and what is wrong with the others; return the numbers of all and of the bad."""
    rows = wrong = 0
    sent = run.folder / "sent"
    with sent.open("wb") as copy:
        storage.copy(key, copy)
    with good.open("wb") as kept, bad.open("w", encoding="utf-8", newline="") as listed:
        report = csv.writer(listed)
        report.writerow(("line", "field", "message"))
        for row in read_rows(sent, most_explained=MAX_LISTED):
            rows += 1
            run.progress(rows)
            if not row.errors:
                kept.write(orjson.dumps((row.line, row.values)) + b"\n")
                continue
            wrong += 1
            if wrong <= MAX_LISTED:
                report.writerows((row.line, name, " ".join(why)) for name, why in row.errors.items())
        if wrong > MAX_LISTED:
            report.writerow(("", "", f"{wrong - MAX_LISTED:,} more bad rows are not listed."))
    return rows, wrong


class _Writer:
    """Creates products from the good rows of a file, those that no import has created before."""

    def __init__(self, run: Run, sha256: str, *, checked: int) -> None:
        self.run, self.sha256, self.checked = run, sha256, checked
        self.created = 0

    def write(self, good: Path, *, total: int) -> int:
        """Write all rows in one transaction, or batch by batch; return how many products this job has made."""
        self.run.progress(self.checked, self.checked + total)
        if self.run.params["mode"] == ATOMIC:
            unit_of_work(partial(self._write_all, good))
        else:
            for batch in _batches(good):
                unit_of_work(partial(self._write, batch))
                self.run.progress(self.run.done + len(batch))
        return self.created

    def _write_all(self, good: Path) -> None:
        for batch in _batches(good):
            self._write(batch)
            self.run.progress(self.run.done + len(batch))

    def _write(self, batch: Batch) -> None:
        known = self._claimed()
        new = [values for line, values in batch if line > known.line]
        if new:
            products.create_products(cast(int, self.run.user_id), new)
            known.line, known.made = batch[-1][0], known.made + len(new)
        self.created = known.made

    def _claimed(self) -> Import:
        """Return what is known of the file, locked; its owner is held, so that nobody is deleted meanwhile."""
        owner = select(User.id).where(User.id == self.run.user_id, User.deleted_at.is_(None))
        if db.session.scalar(owner.with_for_update(read=True, key_share=True)) is None:
            raise JobFailed("owner_gone", "The account has been deleted.")
        values = {"user_id": self.run.user_id, "sha256": self.sha256, "job_id": self.run.job_id}
        db.session.execute(insert_on_conflict(Import).values(values).on_conflict_do_nothing())
        known = db.session.scalars(
            select(Import)
            .where(Import.user_id == self.run.user_id, Import.sha256 == self.sha256)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).one()
        if known.job_id != self.run.job_id:
            known.job_id, known.made = self.run.job_id, self.created
        return known


def _batches(good: Path) -> Iterator[Batch]:
    with good.open("rb") as lines:
        while batch := [orjson.loads(line) for line in islice(lines, BATCH_SIZE)]:
            yield batch
