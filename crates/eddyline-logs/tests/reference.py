#!/usr/bin/env python3
"""The six figures of an access log, computed in plain Python, to check the log job against.

Usage: reference.py [--detail] FILE...

Prints the same JSON object as the job's `--json`, but for the alerts: lines, unparsed, late, bytes, status, sessions.
With --detail it has windows and sessions one by one as well: `minutes`, `sliding` (five minutes every ten seconds) and
`days` as [start, requests, bytes, errors, hosts], `visits` as [host, start, end, requests, bytes]. The figures are
those of all files together. It shares no code with the job; it sees everything before it answers, so `late` is 0
and agrees with a job whose watermark waits for the log's disorder. Sessions are per host; a pause of more than 30
minutes begins a new one.
"""

import calendar
import datetime
import json
import re
import sys

LINE_BYTES_MAX = 1 << 20
SESSION_GAP_SECONDS = 30 * 60
LARGEST = (1 << 64) - 1

QUOTED = rb'"([^"\\]*(?:\\.[^"\\]*)*)"'
LINE = re.compile(
    rb"([!-~]+) ([^ ]+) ((?:(?! \[).)+) "
    rb"\[(\d\d)/([A-Za-z]{3})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)\] "
    + QUOTED
    + rb" ([1-5]\d\d) (-|\d+)(?: "
    + QUOTED
    + rb" "
    + QUOTED
    + rb"(?: .*)?)?",
    re.DOTALL,
)
MONTHS = {name: number for number, name in enumerate(
    b"jan feb mar apr may jun jul aug sep oct nov dec".split(), start=1)}


def access(line):
    """Host, time in seconds, status and bytes of a line; None if it is no access log line."""
    line = line[:-1] if line.endswith(b"\r") else line
    match = LINE.fullmatch(line) if len(line) <= LINE_BYTES_MAX else None
    if match is None:
        return None
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = match.group(*range(4, 13))
    month = MONTHS.get(month.lower())
    try:
        datetime.date(int(year), month or 0, int(day))
    except ValueError:
        return None
    hour, minute, second, zone_hours, zone_minutes = map(int, (hour, minute, second, zone_hours, zone_minutes))
    if hour > 23 or minute > 59 or second > 60 or zone_hours > 23 or zone_minutes > 59:
        return None
    size = 0 if match[15] == b"-" else int(match[15][:40])
    if size > LARGEST:
        return None
    local = calendar.timegm((int(year), month, int(day), hour, minute, second))
    zone = zone_hours * 3600 + zone_minutes * 60
    return match[1], local - zone if sign == b"+" else local + zone, int(match[14]), size


def lines_of(path):
    with open(path, "rb") as log:
        for line in log:
            yield line[:-1] if line.endswith(b"\n") else line


def windows(accesses, size, slide):
    """Requests, bytes, errors and hosts of all windows that have any, by their start in milliseconds."""
    found = {}
    for host, time, code, size_bytes in accesses:
        last = time - time % slide
        for start in range(last - size + slide, last + 1, slide):
            window = found.setdefault(start, [0, 0, 0, set()])
            window[0] += 1
            window[1] += size_bytes
            window[2] += code >= 500
            window[3].add(host)
    return [[start * 1000, *window[:3], len(window[3])] for start, window in sorted(found.items())]


def sessions_of(accesses):
    """Sessions by host and start."""
    by_host = {}
    for host, time, _, size in accesses:
        by_host.setdefault(host, []).append((time, size))
    found = []
    for host, times in sorted(by_host.items()):
        times.sort()
        session = None
        for time, size in times:
            if session is None or time - session[2] > SESSION_GAP_SECONDS:
                session = [host.decode(), time, time, 0, 0]
                found.append(session)
            session[2] = time
            session[3] += 1
            session[4] += size
    return [[host, start * 1000, end * 1000, count, size] for host, start, end, count, size in found]


def main(paths):
    detail = "--detail" in paths
    paths = [path for path in paths if path != "--detail"]
    accesses = []
    lines = unparsed = total = 0
    status = {}
    times = {}
    for path in paths:
        for line in lines_of(path):
            lines += 1
            found = access(line)
            if found is None:
                unparsed += 1
                continue
            host, time, code, size = found
            total += size
            status[code] = status.get(code, 0) + 1
            times.setdefault(host, []).append(time)
            if detail:
                accesses.append(found)
    sessions = 0
    for visits in times.values():
        visits.sort()
        pauses = (later - earlier for earlier, later in zip(visits, visits[1:]))
        sessions += 1 + sum(pause > SESSION_GAP_SECONDS for pause in pauses)
    more = {}
    if detail:
        more = {
            "minutes": windows(accesses, 60, 60),
            "sliding": windows(accesses, 300, 10),
            "days": windows(accesses, 86400, 86400),
            "visits": sessions_of(accesses),
        }
    print(json.dumps({
        "lines": lines,
        "unparsed": unparsed,
        "late": 0,
        "bytes": min(total, LARGEST),
        "status": {str(code): status[code] for code in sorted(status)},
        "sessions": sessions,
        **more,
    }, separators=(",", ":")))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
