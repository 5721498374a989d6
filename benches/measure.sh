#!/usr/bin/env bash
# Measures minuted against known tools on this machine, and prints each figure beside its goal.
#
#   cargo build --release && benches/measure.sh            everything, in about four minutes
#   benches/measure.sh idle | upload | scan | fsyncs | unit   one of them
#
# Times are ratios against a named reference that runs here and now: only they compare between machines. Let nothing
# else run meanwhile. It needs the tools that `need` names, installs nothing, works in a temporary directory below
# $TMPDIR (3 MiB for each MiB of MIB at most) and listens on loopback alone. These change what it does:
#   MINUTED=target/release/minuted   MIB=1024 of the upload   SECONDS_IDLE=60   FILES_IDLE=10000   FILES_SCAN=100000
set -euo pipefail
cd "$(dirname "$0")/.."

MINUTED=$(realpath -m "${MINUTED:-target/release/minuted}")
MIB=${MIB:-1024}
SECONDS_IDLE=${SECONDS_IDLE:-60}
FILES_IDLE=${FILES_IDLE:-10000}
FILES_SCAN=${FILES_SCAN:-100000}
ROUNDS=3 # the best of so many counts: noise only ever slows down

main() {
  [[ -x $MINUTED ]] || die "$MINUTED is missing; cargo build --release makes it"
  need python3
  WORK=$(mktemp -d)
  trap 'stop; kill "${SINK:-}" 2>/dev/null || true; rm -rf "$WORK"' EXIT
  : >"$WORK/uploads"
  python3 benches/sink.py "$WORK/uploads" >"$WORK/port" &
  SINK=$!
  until_true "the sink listens" test -s "$WORK/port"
  for part in "${@:-idle upload scan fsyncs unit}"; do
    for name in $part; do "measure_$name"; done
  done
}

# Memory, processor and wake-ups of a daemon that has nothing to do, with many old files in its folder.
measure_idle() {
  house idle 'backlog = "skip"'
  make_files "$WORK/idle/folder" "$FILES_IDLE"
  start idle
  until_true "the first scan is over" scanned idle
  sleep 5
  local before after switches=0
  before=$(cpu_ticks)
  switches=$(count_switches "$SECONDS_IDLE")
  after=$(cpu_ticks)
  python3 -c 'import time; time.sleep(60)' &
  local reference=$! rss
  sleep 1
  rss=$(memory "$reference" VmRSS)
  kill "$reference"
  say "idle memory, $FILES_IDLE old files" "$(mib "$(memory "$DAEMON" VmRSS)") MiB, $(mib "$(memory "$DAEMON" RssAnon)") MiB of it its own, the rest pages of files; an idle python3 $(mib "$rss") MiB" "<= 21 MiB, <= 8 MiB of its own"
  say "idle wake-ups" "$(ratio "$switches" "$SECONDS_IDLE") a second" "<= 1 a second"
  say "idle processor" "$(ratio $((after - before)) "$SECONDS_IDLE") % of one" ""
  stop
}

# An upload through the whole daemon beside one by curl, of the same file to the same sink.
measure_upload() {
  need curl
  house upload 'settle = "1s"' 'rescan = "1s"'
  start upload
  local file=$WORK/upload/talk.mp3 port
  port=$(<"$WORK/port")
  head -c "${MIB}M" /dev/urandom >"$file"
  for round in $(seq "$ROUNDS"); do
    peak curl -sS -o /dev/null -H Expect: -F session_id=x -F "file=@$file;type=audio/mpeg" \
      "http://127.0.0.1:$port/api/recordings?session_id=x"
    cp "$file" "$WORK/upload/folder/$round.mp3"
    printf '%s' "$round" >>"$WORK/upload/folder/$round.mp3"
    until_true "minuted has uploaded" uploads_are minuted "$round"
    until_true "its notes are there" test -e "$WORK/upload/folder/$round.notes.md"
    rm "$WORK/upload/folder/$round.mp3"
  done
  say "upload of $MIB MiB" "$(ratio "$(best curl)" "$(best minuted)") x the speed of curl -F ($(speed minuted) MiB/s)" ">= 1 x"
  say "peak memory with it" "$(mib "$(memory "$DAEMON" VmHWM)") MiB; curl $(mib "$(sort -n "$WORK/peaks" | tail -1)") MiB" "<= 24 MiB"
  stop
}

# A scan of files that are all known, asked for by a command, beside find looking at the same.
measure_scan() {
  need find
  house scan 'backlog = "skip"' 'rescan = "1h"'
  make_files "$WORK/scan/folder" "$FILES_SCAN"
  start scan
  until_true "the first scan is over" scanned scan
  local find_ms scan_ms status_ms
  find_ms=$(best_ms find "$WORK/scan/folder" -type f -printf '%s %T@\n')
  scan_ms=$(best_ms minuted scan scan)
  status_ms=$(best_ms minuted scan whoami)
  say "warm scan of $FILES_SCAN files" "$(ratio $((scan_ms - status_ms)) "$find_ms") x find -printf '%s %T@\\n'" "<= 1.5 x"
  say "memory with them" "$(mib "$(memory "$DAEMON" VmRSS)") MiB" ""
  stop
}

# What a whole job costs in waits for the disk, from the drop to the notes.
measure_fsyncs() {
  need strace
  house fsyncs 'settle = "1s"' 'rescan = "1s"'
  start fsyncs
  until_true "the first scan is over" scanned fsyncs
  strace -f -c -e trace=fsync,fdatasync -o "$WORK/fsyncs/count" -p "$DAEMON" 2>"$WORK/fsyncs/strace" &
  local strace=$!
  until_true "strace is attached" grep -q attached "$WORK/fsyncs/strace"
  head -c 100000 /dev/urandom >"$WORK/fsyncs/folder/talk.mp3"
  until_true "its notes are there" test -e "$WORK/fsyncs/folder/talk.notes.md"
  until_true "the job is done" job_is_done fsyncs
  kill -INT "$strace"
  wait "$strace" || true
  say "fsyncs for a whole job" "$(awk '$NF ~ /^f(data)?sync$/ { sum += $4 } END { print sum + 0 }' "$WORK/fsyncs/count")" "<= 12"
  stop
}

# How exposed the system service is.
measure_unit() {
  need systemd-analyze
  local rating
  rating=$(systemd-analyze security --offline=true --no-pager ./systemd/minuted.service |
    sed -n 's/.*Overall exposure level for minuted\.service: \([0-9.]*\).*/\1/p')
  say "systemd-analyze security" "$rating" "<= 1.5"
}

# Makes a state directory, a config with these keys for its folder, and signs in.
house() {
  local name=$1
  shift
  mkdir -p "$WORK/$name/folder"
  cat >"$WORK/$name/config.toml" <<TOML
state_dir = "$WORK/$name/state"
[services.paxs]
kind = "paxs"
base_url = "http://127.0.0.1:$(<"$WORK/port")"
poll = { first = "200ms", every = "200ms" }
[[folder]]
name = "bench"
path = "$WORK/$name/folder"
attendees = [{ name = "Ann Lee", email = "ann@example.com" }]
$(printf '%s\n' "$@")
TOML
  minuted "$name" login >/dev/null 2>&1 || die "the sign-in at the sink failed"
}

minuted() {
  local name=$1
  shift
  "$MINUTED" --config "$WORK/$name/config.toml" "$@"
}

start() {
  "$MINUTED" --config "$WORK/$1/config.toml" run 2>"$WORK/$1/log" &
  DAEMON=$!
  until_true "the daemon listens" test -S "$WORK/$1/state/control.sock"
}

stop() {
  [[ -n ${DAEMON:-} ]] || return 0
  kill "$DAEMON" 2>/dev/null || true
  wait "$DAEMON" 2>/dev/null || true
  DAEMON=
}

make_files() {
  python3 - "$1" "$2" <<'PYTHON'
import os, sys
for number in range(int(sys.argv[2])):
    directory = f"{sys.argv[1]}/{number // 1000:04}"
    if number % 1000 == 0:
        os.makedirs(directory)
    path = f"{directory}/talk-{number:07}.mp3"
    with open(path, "wb") as file:
        file.write(b"old")
    os.utime(path, (1_600_000_000, 1_600_000_000))
PYTHON
}

scanned() { minuted "$1" status --json 2>/dev/null | grep -q '"scanned":"'; }
job_is_done() { minuted "$1" jobs --json | grep -q '"state":"done"'; }
uploads_are() { (($(grep -c "^$1 " "$WORK/uploads") >= $2)); }
best() { awk -v who="$1" '$1 == who { print $3 }' "$WORK/uploads" | sort -n | head -1; }
speed() { awk -v took="$(best "$1")" -v mib="$MIB" 'BEGIN { printf "%.0f", mib / took }'; }
memory() { awk -v key="$2:" '$1 == key { print $2 }' "/proc/$1/status"; }
cpu_ticks() { sed 's/.*) //' "/proc/$DAEMON/stat" | awk -v hz="$(getconf CLK_TCK)" '{ print int(($12 + $13) * 100 / hz) }'; }
mib() { awk -v kib="$1" 'BEGIN { printf "%.1f", kib / 1024 }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

# Voluntary context switches of all threads in so many seconds; threads that come and go are looked for each second.
count_switches() {
  local end=$((SECONDS + $1)) status tid count sum=0
  local -A first=() last=()
  for status in /proc/"$DAEMON"/task/*/status; do
    first[$status]=$(awk '$1 == "voluntary_ctxt_switches:" { print $2 }' "$status")
  done
  while ((SECONDS < end)); do
    sleep 1
    for status in /proc/"$DAEMON"/task/*/status; do
      count=$(awk '$1 == "voluntary_ctxt_switches:" { print $2 }' "$status" 2>/dev/null) || continue
      last[$status]=$count
    done
  done
  for tid in "${!last[@]}"; do ((sum += last[$tid] - ${first[$tid]:-0})) || true; done
  echo "$sum"
}

# The least time that a command takes, in ms.
best_ms() {
  local begun
  for _ in $(seq "$ROUNDS"); do
    begun=$(date +%s%N)
    "$@" >/dev/null
    echo $((($(date +%s%N) - begun) / 1000000))
  done | sort -n | head -1
}

# Runs a command and notes the most memory it had, in KiB.
peak() {
  python3 -c 'import resource, subprocess, sys
subprocess.run(sys.argv[2:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=open(sys.argv[1], "a"))' "$WORK/peaks" "$@"
}

until_true() {
  local what=$1 end=$((SECONDS + 120))
  shift
  until "$@"; do
    ((SECONDS < end)) || die "waited in vain until $what"
    sleep 0.05
  done
}

say() { printf '%-36s %s%s\n' "$1" "$2" "${3:+   (goal $3)}"; }
need() { command -v "$1" >/dev/null || die "this measurement needs $1"; }
die() {
  echo "measure.sh: $1" >&2
  exit 1
}

main "$@"
