"""How flows are tried: one program a machine, which tries all of that machine's cells at once.

curl says how far a connection came and how long each stage took; a pod's network is entered by
`nsenter` from its worker's host, so that the pod needs no program and nothing is created. The
program's text has one line a cell: the cell's label, what curl said of failures (`connect to … port
… failed: Connection refused`; its exit status tells refused and unreachable not apart), `offered`
once TLS has begun (up to then curl counts a connection that stays in TLS as none), the figures, and
the exit status.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.base.places import with_port
from harness.evidence.reading import Reading
from harness.probe.core import API, Probe, UnreadableError, require_ended, require_success
from harness.probe.flow_cells import FlowCell

PROBE = "flows"
# Two of the kernel's retries (after 1 and 3 s) fit into it; the aggregator itself gives up after 5.
TRY_SECONDS = 5.0
# Machines that are slower than this make nothing clearer by waiting longer.
_MOST_PACE = 3.0
# Above the tries themselves: SSH, finding the pods' processes, starting a few dozen programs.
_AROUND_SECONDS = 5.0
# Requests that the API server is asked at once: sshd allows ten sessions a connection.
AT_ONCE = 8

# Parameters: the seconds of one try, then four for each cell: label, payload, address:port, and the
# ids of the pod's containers joined by commas, `-` for the machine's own network.
#
# CoreDNS takes a web request of 18247 bytes for a DNS message: "GE" is its length (18245), "T " its
# id, and "/" sets the kind UPDATE, which it refuses by itself (NOTIMP) without asking anybody. curl
# does not take that answer for one of a web server, and says so: `Received HTTP/0.9`.
#
# A container's processes have its id in their cgroup's path, with cgroup v1 and v2 and with both
# drivers of the kubelet. Lines are short and each is written at once, so they do not mix.
PROGRAM = r"""
LC_ALL=C
export LC_ALL
seconds=$1
shift
large=$(printf '%04096d' 0)
larger=$(printf '%018300d' 0)
figures='\nfigures %{time_connect} %{time_appconnect} %{time_total} %{http_code} %{size_download}\n'

process_of() {
  for id in $(printf '%s' "$1" | tr , ' '); do
    found=$(grep -l -F -s -e "$id" /proc/[0-9]*/cgroup | head -n 1)
    if [ -n "$found" ]; then
      found=${found#/proc/}
      printf '%s' "${found%/cgroup}"
      return
    fi
  done
}

ask() {
  case $1 in
    dns) url=http://$2/$larger ;;
    *) url="https://$2/livez?pad=$large" ;;
  esac
  shift 2
  "$@" curl -q -g -k -s -S -v --noproxy '*' --max-time "$seconds" -o /dev/null \
    -w "$figures" "$url" 2>&1 </dev/null
  printf 'exit %s\n' "$?"
}

try() {
  if [ "$4" = - ]; then
    set -- "$1" "$2" "$3"
  else
    process=$(process_of "$4")
    if [ -z "$process" ]; then
      printf 'cell %s\tno process of the pod runs here\n' "$1"
      return
    fi
    set -- "$1" "$2" "$3" nsenter -t "$process" -n
  fi
  label=$1
  shift
  said=$(ask "$@" | sed -n -e 's/^\* *\(connect to .* failed:\)/\1/p' \
    -e 's/^\* *\(Immediate connect fail\)/\1/p' -e 's/^\* *ALPN.*offer.*/offered/p' \
    -e '/^curl: /p' -e '/^nsenter: /p' -e '/^figures /p' -e '/^exit /p' \
    | cut -c 1-300 | tr '\n\r' '\t ')
  printf 'cell %s\t%s\n' "$label" "$said"
}

while [ "$#" -ge 4 ]; do
  try "$1" "$2" "$3" "$4" &
  shift 4
done
wait
"""


def probes(cells: Iterable[FlowCell], *, pace: float = 1.0) -> tuple[Probe[Any], ...]:
    """Return one probe a machine for its cells, then one for each request to the API server.

    `pace` is how many times slower than this host the machines are.
    """
    seconds = TRY_SECONDS * min(pace, _MOST_PACE)
    by_machine: dict[str, list[str]] = {}
    requests: list[Probe[Any]] = []
    for cell in cells:
        if cell.missing:
            continue
        if cell.source == API:
            argv = ("kubectl", f"--request-timeout={seconds:.0f}s", *cell.request)
            requests.append(Probe(f"flow:{cell.label}", API, argv, parse_request, deadline=10.0))
        else:
            by_machine.setdefault(cell.source, []).extend(
                (
                    cell.label,
                    cell.payload,
                    with_port(cell.address, cell.port),
                    ",".join(cell.containers) or "-",
                )
            )
    machines = [
        Probe(
            PROBE,
            machine,
            ("sh", "-c", PROGRAM, PROBE, f"{seconds:.0f}", *words),
            parse_lines,
            sudo=True,
            deadline=seconds + _AROUND_SECONDS,
        )
        for machine, words in by_machine.items()
    ]
    return (*machines, *requests)


def parse_lines(reading: Reading) -> dict[str, tuple[str, ...]]:
    """Return what was said of each cell of one machine, by the cell's label."""
    said: dict[str, tuple[str, ...]] = {}
    for line in require_success(reading).splitlines():
        head, *words = line.rstrip("\t").split("\t")
        word, _, label = head.partition(" ")
        if word != "cell":
            raise UnreadableError(f"the program of the flows said on {reading.where}: {line}")
        said[label] = tuple(words)
    return said


def parse_request(reading: Reading) -> tuple[int, str]:
    """Return kubectl's status and the last thing it said of a failure."""
    require_ended(reading)
    lines = [line.strip() for line in reading.stderr.splitlines() if line.strip()]
    return reading.returncode or 0, lines[-1] if lines else ""
