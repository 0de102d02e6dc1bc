"""The scheduler: Celery beat, which does here itself what is due, and keeps no file: two of them do no harm."""

import logging
from typing import Any

from celery.beat import ScheduleEntry, Scheduler

log = logging.getLogger(__name__)


class InProcessScheduler(Scheduler):  # type: ignore[misc]
    """Runs what is due in its own process: it waits behind no backlog of the queues, and for no broker."""

    producer = None

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        """Run the task of ``entry`` to its end. One that fails is run again when it is next due."""
        try:
            self.app.tasks[entry.task]()
        except Exception as error:
            log.warning("The scheduler's %s has failed: %s", entry.task, type(error).__name__)
