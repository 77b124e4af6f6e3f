#!/bin/bash
# Output of an instance: in one file that is rotated by size; a follower sees each line once and in order; nothing is lost when the logger is
# killed; what would move a terminal's cursor is shown escaped.
# timeout: 60
. "$(dirname "$0")/lib.sh"
cat >"$T/writer.py" <<'P'
import sys, time
print("\x1b]0;owned\x07\x1b[2Jhello", flush=True)
for n in range(30000):
    print(f"line {n:06d} " + "x" * 60, flush=True)
    if n % 50 == 49:
        time.sleep(0.01)
print("last line", flush=True)
time.sleep(1000)
P
cat >"$T/muster.yaml" <<Y
services:
  writer: { command: python3 $T/writer.py, directory: $T, instances: 1, log: { max_size: 256K, keep: 20 } }
  chatty: { command: [sh, -c, "yes 'a line of some length that fills a file' | head -c 100000; exec sleep 1000"], log: { max_size: 8K, keep: 3 } }
Y
up
"$B/musterctl" logs -f writer -n 100000 >"$T/followed" 2>&1 &
follower=$!
sleep 2
logger=$(role_pid 'muster-agent.*--role logger')
kill -9 "$logger" && say "killed the logger"
wait_for 30 "the follower saw the last line" grep -q 'last line' "$T/followed"
kill $follower
numbers() { grep -oE 'line [0-9]{6}' "$1" | awk '{ if ($2 + 0 != n) { print "line " n " expected, got " $2; exit 1 } n++ } END { if (n != 30000) { print n " lines"; exit 1 } }'; }
expect "each line once, in order" numbers "$T/followed"
files=("$MUSTER_STATE"/log/writer.1.log*)
expect "it was rotated (${#files[@]} files)" [ ${#files[@]} -gt 3 ]
chatty=("$MUSTER_STATE"/log/chatty.1.log*)
expect "keep: 3 keeps three (${#chatty[@]})" [ ${#chatty[@]} = 3 ]
big=$(find "$MUSTER_STATE/log" -name 'writer.1.log*' -size +300k)
expect "no file is larger than its size ($big)" [ -z "$big" ]
script -qec "$B/musterctl logs writer -n 100000" /dev/null </dev/null >"$T/terminal" 2>&1
expect "no escape byte reaches a terminal" sh -c "grep -q hello '$T/terminal' && ! grep -q \$(printf '\\033') '$T/terminal'"
"$B/musterctl" logs writer -n 3 >"$T/tail"
expect "-n 3 gives three lines" [ "$(wc -l <"$T/tail")" = 3 ]
