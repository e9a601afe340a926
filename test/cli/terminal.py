"""Runs a command on a pseudo-terminal and answers its questions.

    terminal.py '[["text to wait for", "answer"], …]' COMMAND…

An answer is sent as it is once the text was seen behind the last one; the terminal's output goes to standard output, and
the exit code is the command's: 124 where a text did not come in time, which is then named on standard error.
"""

import fcntl
import json
import os
import pty
import re
import select
import struct
import sys
import termios
import time

SECONDS = 60  # for one question; the machine may be busy
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

steps = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 200, 0, 0))
    os.environ.update(TERM="xterm")
    os.execvp(sys.argv[2], sys.argv[2:])

seen = ""


def read(seconds):
    """False at the end of the output."""
    global seen
    if not select.select([terminal], [], [], seconds)[0]:
        return True
    try:
        data = os.read(terminal, 65536)
    except OSError:  # EIO: the other side was closed
        return False
    if data:
        seen += data.decode("utf-8", "replace")
    return bool(data)


def end(code):
    sys.stdout.write(ESCAPES.sub("", seen))
    sys.exit(code)


behind = 0
for text, answer in steps:
    deadline = time.monotonic() + SECONDS
    while (at := ESCAPES.sub("", seen).find(text, behind)) < 0:
        if time.monotonic() > deadline or not read(0.2):
            sys.stderr.write(f"did not come: {text}\n")
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            end(124)
    behind = at + len(text)
    os.write(terminal, answer.encode())
while read(SECONDS):
    pass
_, status = os.waitpid(pid, 0)
end(os.waitstatus_to_exitcode(status) if not os.WIFSIGNALED(status) else 128 + os.WTERMSIG(status))
