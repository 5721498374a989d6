#!/usr/bin/env bash
# Makes the recordings of `minuted demo` from their transcripts. Needs flite, sox and ffmpeg (Debian has all three).
# A line of a transcript is `MM:SS speaker: words`. The time is where the words begin in the finished recording; it is
# not read here and must be corrected by hand after a change.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Speaks a transcript, with half a second between two turns.
speak() {
  local turn=0 turns=() line voice
  while read -r line; do
    turn=$((turn + 1))
    case ${line#* } in
      "Ann Lee: "*) voice=slt ;;
      "Bo Chen: "*) voice=rms ;;
      "Cy Diaz: "*) voice=awb ;;
      *) echo "$1.txt: no voice for: $line" >&2; exit 1 ;;
    esac
    flite -voice "$voice" -t "${line#*: }" -o "$work/$1-$turn.wav"
    sox "$work/$1-$turn.wav" -r 16000 -c 1 "$work/$1-$turn-padded.wav" pad 0 0.5 norm -3
    turns+=("$work/$1-$turn-padded.wav")
  done <"$1.txt"
  sox "${turns[@]}" "$work/$1.wav"
}

for name in weekly-sales design-review standup; do speak "$name"; done
ffmpeg -v error -y -i "$work/weekly-sales.wav" -c:a aac -b:a 32k -map_metadata -1 -fflags +bitexact weekly-sales.m4a
ffmpeg -v error -y -i "$work/design-review.wav" -c:a libmp3lame -b:a 32k -map_metadata -1 -fflags +bitexact design-review.mp3
# As a telephone would: 8 kHz, µ-law.
sox "$work/standup.wav" -r 8000 -e mu-law standup.wav
