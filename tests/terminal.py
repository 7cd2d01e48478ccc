#!/usr/bin/env python3
"""Drives a program in a terminal of its own, as somebody at a keyboard would.

    terminal.py STEPS PROGRAM [ARGUMENT...]

STEPS is a JSON list: ["send", TEXT] types, ["expect", TEXT, SECONDS] waits until TEXT is on the screen, ["wait", SECONDS] does
nothing. Prints a JSON object: "said", for each step what came meanwhile without escape sequences; "late", the step whose text
did not come, or null; "seconds", how long each step took; "code", the exit code, or null if the program had to be killed.
"""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[()][A-B0-2]|\x1b[=>]|\r")

steps, program = json.loads(sys.argv[1]), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.environ["TERM"] = "xterm"
    os.execvp(program[0], program)
# Wide, so that nothing is wrapped.
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 200, 400, 0, 0))

unread = ""


def read(seconds):
    """What comes within so many seconds, at least one piece of it; None at the end."""
    ready, _, _ = select.select([terminal], [], [], seconds)
    if not ready:
        return ""
    try:
        return os.read(terminal, 65536).decode(errors="replace") or None
    except OSError:
        return None


said, took, late = [], [], None
for number, (what, *given) in enumerate(steps):
    begun, text = time.monotonic(), unread
    unread = ""
    if what == "send":
        os.write(terminal, given[0].encode())
    elif what == "wait":
        while (left := begun + given[0] - time.monotonic()) > 0:
            text += read(left) or ""
    else:
        wanted, seconds = given
        while True:
            plain = ESCAPES.sub("", text)
            if wanted in plain:
                # What came after it belongs to the next step.
                at = plain.index(wanted) + len(wanted)
                text, unread = plain[:at], plain[at:]
                break
            left = begun + seconds - time.monotonic()
            more = read(left) if left > 0 else ""
            if not more and left <= 0 or more is None:
                late = late if late is not None else number
                break
            text += more
    said.append(ESCAPES.sub("", text))
    took.append(round(time.monotonic() - begun, 3))
    if late is not None:
        break

code, ends = None, time.monotonic() + 10
while time.monotonic() < ends:
    if read(0.05) is None or late is not None:
        break
done, status = 0, 0
while time.monotonic() < ends and not done:
    done, status = os.waitpid(child, os.WNOHANG)
    time.sleep(0.02)
if done:
    code = os.waitstatus_to_exitcode(status)
else:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
print(json.dumps({"said": said, "late": late, "seconds": took, "code": code}))
