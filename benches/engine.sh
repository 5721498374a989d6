#!/usr/bin/env bash
# The engine in figures: real-time factor and memory for 1 min, 10 min and 1 h of speech, the words that are wrong, and
# an hour of four readers (tests/data/voices): their speakers, and what telling them apart costs.
#
#   benches/engine.sh MODEL_DIRECTORY [MINUTED]
#
# MODEL_DIRECTORY holds the files of `minuted engine install`. Needs Python 3, sox and Debian's pocketsphinx-testdata;
# with espeak-ng a spoken meeting is measured too. Real-time factors are of processor time, on one thread: they hold on
# a machine that is busy with other things.
#
# Beside whisper.cpp's command line: WHISPER_CLI names it, built with the flags of MINUTED's own whisper.cpp.
#   WHISPER_MODEL=ggml-base.bin      other languages, in a MINUTED with whisper: German by espeak-ng, real French and
#                                    Spanish where Debian's asterisk-core-sounds-fr-wav and -es-wav are installed
#   WHISPER_TINY_EN=ggml-tiny.en.bin  the hour of English
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

if [[ -n ${WHISPER_CLI:-} && -n ${WHISPER_MODEL:-} ]]; then
  cat >"$work/de.txt" <<'TEXT'
Guten Morgen zusammen, und vielen Dank, dass Sie gekommen sind.
Der erste Punkt auf unserer Liste ist das neue Lager.
Wir haben beschlossen, das Gebäude neben dem Bahnhof zu mieten.
Anna wird den Eigentümer noch vor Freitag anrufen.
Der zweite Punkt ist der Haushalt für das nächste Jahr.
Wer kann die Zahlen bis zum Ende des Monats vorbereiten?
TEXT
  if command -v espeak-ng >/dev/null; then
    espeak-ng -v de -f "$work/de.txt" -w "$work/spoken.wav"
    sox "$work/spoken.wav" -r 16000 "$work/de.wav" repeat 5
  fi
  for language in fr es; do
    prompts=(/usr/share/asterisk/sounds/"$language"_*/{conf,vm}-*.wav)
    [[ ! -e ${prompts[0]} ]] || sox "${prompts[@]}" -r 16000 "$work/$language.wav" pad 0 0.6 trim 0 300
  done
fi

# Four readers in turn (tests/data/voices), for an hour: the name of a clip begins with its reader.
clips="$(dirname "$0")/../tests/data/voices"
order=(367-130732-0001 1688-142285-0003 2609-156975-0000 3080-5032-0000
       1688-142285-0004 367-130732-0004 3080-5032-0004 2609-156975-0001)
for clip in "${order[@]}"; do sox "$clips/$clip.flac" "$work/clip-$clip.wav" pad 0 0.6; done
sox $(printf "$work/clip-%s.wav " "${order[@]}") "$work/round.wav"
sox "$work/round.wav" "$work/voices.wav" repeat 80 trim 0 3600
for clip in "${order[@]}"; do echo "${clip%%-*} $(soxi -D "$work/clip-$clip.wav")"; done >"$work/turns.txt"

python3 - "$minuted" "$model" "$work" <<'PYTHON'
import json, os, re, subprocess, sys, wave

minuted, model, work = sys.argv[1:]
named = lambda part: next(os.path.join(model, n) for n in sorted(os.listdir(model)) if part in n)

cli = os.environ.get("WHISPER_CLI")

def run(name, recogniser=None, speakers=None):
    pieces = os.path.join(work, f"pieces-{name}-{speakers}")
    files = dict(encoder=named("encoder"), decoder=named("decoder"), tokenizer=named("tokenizer"),
                 runtime=named("libonnxruntime"))
    request = dict(recogniser=recogniser or dict(moonshine=files), pieces=pieces, content=name, threads=1,
                   memory_mib=3000 if recogniser else 512, duration_ms=None, ffmpeg=None, parent=os.getpid())
    if speakers:
        models = dict(segmentation=named("segmentation"), embedding=named("embedding"), runtime=named("libonnxruntime"))
        request["voices"] = dict(models=models, speakers=speakers)
    with open(os.path.join(work, name + ".wav"), "rb") as recording:
        child = subprocess.Popen([minuted, "engine-work", json.dumps(request)], stdin=recording, stdout=subprocess.PIPE, env={})
        last = child.stdout.read().decode().splitlines()[-1]
        _, status, usage = os.wait4(child.pid, 0)
    assert status == 0, last
    lines = [json.loads(line) for line in open(os.path.join(pieces, "pieces.jsonl"))]
    with wave.open(os.path.join(work, name + ".wav")) as sound:
        seconds = sound.getnframes() / sound.getframerate()
    text = " ".join(line["piece"]["text"] for line in lines if "piece" in line)
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text, lines

def run_cli(name, model, language):
    options = ["-t", "1", "-bs", "1", "-bo", "1", "-l", language]
    child = subprocess.Popen([cli, "-m", model, *options, "-f", os.path.join(work, name + ".wav")],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0, name
    return usage.ru_utime + usage.ru_stime

def print_beside(name, used, other):
    print(f"{name:12} {used:6.1f} s of processor, whisper.cpp {other:6.1f} s: {used / other:.2f} of its time")

def voices():
    """Seconds of each reader by each speaker, and the share of the speech that has another speaker than most of its
    reader's."""
    turns, at = [], 0
    for line in open(os.path.join(work, "turns.txt")):
        reader, length = line.split()
        turns.append((at, at + float(length), reader))
        at += float(length)
    seconds, used, memory, _, lines = run("voices", speakers="auto")
    speakers = [speaker for line in lines for speaker in line.get("speakers", [])]
    pieces = [line["piece"] for line in lines if "piece" in line]
    spoken = {}
    for piece, speaker in zip(pieces, speakers):
        for begin in range(piece["start"] * 10 // 16000, piece["end"] * 10 // 16000):
            reader = next((r for b, e, r in turns if b <= begin / 10 % at < e - 0.6), None)
            if reader and piece["text"]:
                spoken.setdefault(reader, {}).setdefault(speaker, 0)
                spoken[reader][speaker] += 1
    total = sum(sum(by.values()) for by in spoken.values())
    right = sum(max(by.values()) for by in spoken.values())
    count = len({speaker for by in spoken.values() for speaker in by if speaker})
    return seconds, used, memory, count, 100 * (total - right) / total

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
    seconds, used, memory, _, _ = run(name)
    hour = used
    print(f"{name:12} {seconds:6.0f} s of speech: {used:6.1f} s of processor, factor {used / seconds:.3f}, peak memory {memory:.0f} MiB")
for name in ["readings", "meeting"]:
    if os.path.exists(os.path.join(work, name + ".wav")):
        said = words(open(os.path.join(work, name + ".txt")).read())
        wrong = errors(said, words(run(name)[3]))
        print(f"{name:12} {wrong} of {len(said)} words wrong ({100 * wrong / len(said):.1f} %)")
for name in ["de", "fr", "es"]:
    if cli and os.path.exists(os.path.join(work, name + ".wav")):
        model_file = os.environ["WHISPER_MODEL"]
        print_beside(name, run(name, dict(whisper=dict(model=model_file, language=name)))[1], run_cli(name, model_file, name))
if cli and "WHISPER_TINY_EN" in os.environ:
    print_beside("hour", hour, run_cli("hour", os.environ["WHISPER_TINY_EN"], "en"))
seconds, alone, _, _, _ = run("voices")
seconds, used, memory, count, wrong = voices()
print(f"four readers {seconds:6.0f} s: {count} speakers, {wrong:.1f} % of the speech with a wrong one; {used:.0f} s of processor "
      f"({used - alone:.0f} s for the voices), peak memory {memory:.0f} MiB")
PYTHON
