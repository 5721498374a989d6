#!/usr/bin/env bash
# Makes the recordings of `minuted demo` from their texts. Needs flite, sox and ffmpeg (Debian has all three).
# A line of a text is `voice: words`; the voices are flite's `slt`, `rms` and `awb`.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Speaks a text, with half a second between two turns.
speak() {
  local turn=0 turns=()
  while IFS=: read -r voice words; do
    turn=$((turn + 1))
    flite -voice "$voice" -t "$words" -o "$work/$1-$turn.wav"
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
