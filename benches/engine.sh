#!/usr/bin/env bash
# The engine in figures: real-time factor and memory for 1 min, 10 min and 1 h of speech, and the words that are wrong.
#
#   benches/engine.sh MODEL_DIRECTORY [MINUTED]
#
# MODEL_DIRECTORY holds the files of `minuted engine install`. Needs Python 3, sox and Debian's pocketsphinx-testdata;
# with espeak-ng a spoken meeting is measured too. Real-time factors are of processor time, on one thread: they hold on
# a machine that is busy with other things.
set -euo pipefail
model=${1:?the directory of the model}
minuted=${2:-$(dirname "$0")/../target/release/minuted}
readings=/usr/share/pocketsphinx/test/data/librivox
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sox "$readings"/*.wav -r 16000 "$work/readings.wav" pad 0 0.5
sed -E 's/<\/?s>//g; s/\(.*//' "$readings/transcription" >"$work/readings.txt"
sox "$work/readings.wav" "$work/hour.wav" repeat 200 trim 0 3600
sox "$work/hour.wav" "$work/ten-minutes.wav" trim 0 600
sox "$work/hour.wav" "$work/minute.wav" trim 0 60
if command -v espeak-ng >/dev/null; then
  cat >"$work/meeting.txt" <<'TEXT'
good morning everybody and thank you for coming
the first point on our list is the new warehouse
we decided to rent the building near the station
anna will call the owner before friday
the second point is the budget for next year
who can prepare the numbers until the end of the month
peter said that he will send them on monday
TEXT
  espeak-ng -v en-us -f "$work/meeting.txt" -w "$work/meeting.wav"
fi

python3 - "$minuted" "$model" "$work" <<'PYTHON'
import json, os, re, subprocess, sys, wave

minuted, model, work = sys.argv[1:]
named = lambda part: next(os.path.join(model, n) for n in sorted(os.listdir(model)) if part in n)

def run(name):
    pieces = os.path.join(work, "pieces-" + name)
    files = dict(encoder=named("encoder"), decoder=named("decoder"), tokenizer=named("tokenizer"),
                 runtime=named("libonnxruntime"))
    request = dict(recogniser=dict(moonshine=files), pieces=pieces, content=name, threads=1, memory_mib=512,
                   duration_ms=None, ffmpeg=None, parent=os.getpid())
    with open(os.path.join(work, name + ".wav"), "rb") as recording:
        child = subprocess.Popen([minuted, "engine-work", json.dumps(request)], stdin=recording, stdout=subprocess.PIPE, env={})
        last = child.stdout.read().decode().splitlines()[-1]
        _, status, usage = os.wait4(child.pid, 0)
    assert status == 0, last
    lines = [json.loads(line) for line in open(os.path.join(pieces, "pieces.jsonl"))]
    with wave.open(os.path.join(work, name + ".wav")) as sound:
        seconds = sound.getnframes() / sound.getframerate()
    text = " ".join(line["piece"]["text"] for line in lines if "piece" in line)
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text

def words(text):
    text = text.lower().replace("mr.", "mister").replace("-", " ")
    return re.sub(r"[^\w' ]", " ", text).split()

def errors(said, heard):
    row = list(range(len(heard) + 1))
    for at, word in enumerate(said):
        before, row[0] = row[0], at + 1
        for other, guess in enumerate(heard):
            before, row[other + 1] = row[other + 1], min(before + (word != guess), row[other + 1] + 1, row[other] + 1)
    return row[-1]

for name in ["minute", "ten-minutes", "hour"]:
    seconds, used, memory, _ = run(name)
    print(f"{name:12} {seconds:6.0f} s of speech: {used:6.1f} s of processor, factor {used / seconds:.3f}, peak memory {memory:.0f} MiB")
for name in ["readings", "meeting"]:
    if os.path.exists(os.path.join(work, name + ".wav")):
        said = words(open(os.path.join(work, name + ".txt")).read())
        wrong = errors(said, words(run(name)[3]))
        print(f"{name:12} {wrong} of {len(said)} words wrong ({100 * wrong / len(said):.1f} %)")
PYTHON
