#!/bin/bash
# Supervisor/supervisor#281, Supervisor/supervisor#1043: the wall clock jumps by ten years, forward, then back behind where it was. Nothing is
# restarted or stopped for it, what dies is replaced at once, what fails is tried at its times, and no line of a log is lost.
# (The clock of muster's own programs only: they are started with a library in front of the C library's.)
# timeout: 120
. "$(dirname "$0")/lib.sh"
command -v "${CC:-cc}" >/dev/null || skip "needs a C compiler"
PORT=$(free_port)
cat >"$T/shift.c" <<'C'
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long shift(void)
{
    char text[32] = "";
    const char *path = getenv("CLOCK_SHIFT");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        if (read(fd, text, sizeof text - 1) < 0)
            text[0] = 0;
        close(fd);
    }
    return atol(text);
}
int clock_gettime(clockid_t id, struct timespec *t)
{
    int rc = (int)syscall(SYS_clock_gettime, id, t);
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
        t->tv_sec += shift();
    return rc;
}
time_t time(time_t *t)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return t ? *t = now.tv_sec : now.tv_sec;
}
int gettimeofday(struct timeval *t, void *zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *t = (struct timeval){ now.tv_sec, now.tv_nsec / 1000 };
    return 0;
}
C
"${CC:-cc}" -O1 -shared -fPIC -o "$T/shift.so" "$T/shift.c" || fail "the library does not build"
cat >"$T/count.py" <<'P'
import itertools, time
for n in itertools.count():
    print("number", n, flush=True)
    time.sleep(0.01)
P
api_config flask_gthread 2 "    restart: { delay: 100ms, limit: 50 in 1m }
  writer: { command: python3 $T/count.py, directory: $T, instances: 1, log: { max_size: 64K, keep: 50 } }
  crasher: { command: python3 $APPS/child.py $T/crasher.json exit 3, directory: $T, instances: 1, restart: { delay: 1s, max_delay: 2s, limit: 1000 in 1m } }
  lazy: { command: sleep 1000, directory: $T, instances: { min: 2, max: 6 }, scale: { on: [ cpu: 60% ], down: { wait: 2s } } }"
echo 0 >"$T/shift"
export CLOCK_SHIFT=$T/shift
LD_PRELOAD=$T/shift.so muster up "$T/muster.yaml" --detach >"$T/up.log" 2>&1
wait_for 15 "two are ready" ready api 2
wait_for 10 "the writer writes" is "s['writer']['ready'] == 1"
muster scale lazy 4 >/dev/null || fail "scale"
wait_for 10 "four of lazy" ready lazy 4
CLOCK_SHIFT=''
expect "instances are not given the library" sh -c "! tr '\0' '\n' <'/proc/$(pid_of writer.1)/environ' | grep -q LD_PRELOAD"
starts() { wc -l <"$T/crasher.json.starts"; }
year=$((365 * 86400)) here=$(date +%Y)
for jump in 10 -10 0; do
    keep="$(pids api) $(pids writer)" n=$(starts)
    echo $((jump * year)) >"$T/shift.new"; mv "$T/shift.new" "$T/shift"
    sleep 4
    expect "$jump years: no process changed" [ "$(pids api) $(pids writer)" = "$keep" ]
    more=$(($(starts) - n))
    expect "what fails is tried at its times ($more in 4 s)" [ "$more" -ge 1 -a "$more" -le 5 ]
    dead=$(pid_of api.1)
    kill -9 "$dead"
    wait_for 5 "what dies is replaced" is "i['api.1']['pid'] not in (None, 0, $dead) and s['api']['ready'] == 2"
    expect "and answers" answers /
    expect "no up time is off" is "all(0 <= x['up_ms'] < 200000 for x in i.values() if x.get('up_ms') is not None)"
    year_said=$(muster events -n 1 -o json | grep -oE '"20[0-9]{2}-' | head -1 | tr -dc 0-9)
    expect "the events are dated by that clock ($year_said)" [ $((year_said - here)) -ge $((jump - 1)) -a $((year_said - here)) -le $((jump + 1)) ]
done
expect "without a load the scaler took lazy down, but not below its minimum" is "2 <= s['lazy']['ready'] <= 4"
muster stop writer >/dev/null || fail "stop"
wait_for 10 "the writer is stopped" is "s['writer']['stopped'] and s['writer']['ready'] == 0"
sleep 0.5
python3 - "$MUSTER_STATE" <<'P' && say "and its log has each number once and in order" || fail "lines are missing"
import glob, os, re, sys
files = [f for d, _, fs in os.walk(sys.argv[1]) for f in (os.path.join(d, x) for x in fs) if re.search(r"writer\.1\.log(\.\d+)?$", f)]
files.sort(key=lambda f: -int((re.search(r"log\.(\d+)$", f) or [0, 0])[1]))
numbers = [int(m) for f in files for m in re.findall(r"number (\d+)$", open(f).read(), re.M)]
print(len(files), "files,", len(numbers), "lines")
sys.exit(not (len(numbers) > 500 and numbers == list(range(len(numbers)))))
P
