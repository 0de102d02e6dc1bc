"""Where the log goes: a file that several processes write and put by, and syslog."""

import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.observability.log_targets import handler_for

PROCESSES, LINES = 4, 1500
WRITER = """
import logging, sys
from app.core.observability.log_targets import handler_for
handler = handler_for(sys.argv[1], size=40_000)
logger = logging.Logger("writer")
logger.addHandler(handler)
for number in range(int(sys.argv[3])):
    logger.info("%s:%d:%s", sys.argv[2], number, "x" * (20_000 if number == 700 else 20))
"""


def test_several_processes_write_one_file_that_is_put_by_when_full(tmp_path: Path, project: Path) -> None:
    log = tmp_path / "agora.log"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, log.as_uri(), str(number), str(LINES)], cwd=project)
        for number in range(PROCESSES)
    ]
    assert [writer.wait(60) for writer in writers] == [0] * PROCESSES
    files = [tmp_path / f"agora.log.{number}" for number in range(9, 0, -1)]
    files = [file for file in (*files, log) if file.exists()]
    assert len(files) > 3
    assert all(file.stat().st_size < 70_000 for file in files)
    written = [line.split(":") for file in files for line in file.read_text().splitlines()]
    assert len(written) == PROCESSES * LINES
    for process in range(PROCESSES):
        assert {int(number) for writer, number, _ in written if writer == str(process)} == set(range(LINES))
    assert all(set(text) == {"x"} and len(text) in (20, 20_000) for *_, text in written)


def test_no_more_than_ten_files_are_kept(tmp_path: Path) -> None:
    handler = handler_for((tmp_path / "agora.log").as_uri(), size=50)
    for number in range(100):
        handler.emit(logging.makeLogRecord({"msg": f"{number} " + "x" * 60}))
    handler.close()
    kept = {path.name for path in tmp_path.iterdir()} - {"agora.log.lock", "agora.log"}
    assert kept == {f"agora.log.{number}" for number in range(1, 10)}
    assert (tmp_path / "agora.log.1").read_text().startswith("99 ")


def test_a_file_that_another_program_moves_away_is_made_anew(tmp_path: Path) -> None:
    log = tmp_path / "agora.log"
    handler = handler_for(log.as_uri(), size=10_000)
    handler.emit(logging.makeLogRecord({"msg": "first"}))
    os.replace(log, tmp_path / "moved")
    handler.emit(logging.makeLogRecord({"msg": "second"}))
    handler.close()
    assert ((tmp_path / "moved").read_text(), log.read_text()) == ("first\n", "second\n")


def test_a_file_that_cannot_be_written_fails_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    handler = handler_for((folder / "agora.log").as_uri(), size=1)
    folder.rename(tmp_path / "away")
    handler.emit(logging.makeLogRecord({"msg": "nowhere to go"}))
    handler.close()
    assert "FileNotFoundError" in capsys.readouterr().err


@pytest.mark.parametrize("over", ["udp", "socket"])
def test_lines_go_to_syslog(tmp_path: Path, over: str) -> None:
    family = socket.AF_INET if over == "udp" else socket.AF_UNIX
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0) if over == "udp" else str(tmp_path / "log"))
        server.settimeout(10)
        host = f"127.0.0.1:{server.getsockname()[1]}" if over == "udp" else str(tmp_path / "log")
        handler = handler_for(f"syslog://{host}", size=1)
        handler.emit(logging.makeLogRecord({"msg": "here I am", "levelno": logging.ERROR, "levelname": "ERROR"}))
        assert server.recv(1000) == b"<11>agora: here I am"  # user-level, error (RFC 3164, section 4.1.1)
        handler.close()
