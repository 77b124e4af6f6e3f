#!/bin/bash
# Checks what the compiler does not: who includes whom, what files that decide may use, and functions that are banned everywhere.
# Prints `file:line: what is wrong`; exit status 1 if there is anything.
set -u
cd "$(dirname "$0")/.." || exit 2
bad=0
complain() { echo "$1"; bad=1; }
# Lines of code only: comments and strings may speak of anything.
code() { sed -E -e 's/"([^"\\]|\\.)*"/""/g' -e 's,//.*,,' -e 's,/\*([^*]|\*[^/])*\*/,,g' "$1" | awk '/\/\*/{c=1} {print c ? "" : $0} /\*\//{c=0}'; }

# base <- model <- net <- { supervisord, agent, ctl }
declare -A may=([base]="base" [model]="base model" [net]="base model net" [supervisord]="base model net supervisord" [agent]="base model net agent" [ctl]="base model net ctl")
for folder in "${!may[@]}"; do
    for f in "$folder"/*.[ch]; do
        [ -e "$f" ] || continue
        while IFS=: read -r line inc; do
            [[ " ${may[$folder]} " == *" ${inc%%/*} "* ]] || complain "$f:$line: $folder/ may not include $inc (only: ${may[$folder]})"
        done < <(sed -nE '/^#include "/{=;s/^#include "([^"]+)".*/\1/p}' "$f" | paste -d: - - | grep -E ':(base|model|net|supervisord|agent|ctl)/')
    done
done

# Files that decide are given events and a time: no loop, clock, socket or randomness of their own.
pure=(agent/{core,instance,instance_enter,instance_probe,backoff,actions,health,notify,haproxy_conf,hapdiff,haproxy_stat,haplog,hapmetrics}.c supervisord/core*.c supervisord/{service,rollout,upstream,scaler}.c)
impure_header='^#include (<uv\.h>|<sys/socket\.h>|<sys/epoll\.h>|<poll\.h>|<sqlite3\.h>|"base/(clock|file)\.h"|"net/)'
impure_call='\b(clock_gettime|gettimeofday|time|clock_mono_ms|clock_mono_ns|clock_wall_ms|rand|random|getrandom|socket|connect|open|openat|read|write|send|recv|fork|execve|kill|nanosleep|sleep|usleep)\('
for f in "${pure[@]}"; do
    [ -e "$f" ] || continue
    while IFS=: read -r line text; do complain "$f:$line: a file that decides includes $text"; done < <(grep -nE "$impure_header" "$f")
    while IFS=: read -r line text; do complain "$f:$line: a file that decides calls: ${text# }"; done < <(code "$f" | grep -nE "(^|[^_>.[:alnum:]])$impure_call")
done

banned='strcpy|strcat|sprintf|vsprintf|gets|strncat|strtok|tmpnam|mktemp|tempnam|alloca|asctime|ctime|gmtime|localtime'
shell='system|popen'      # in tests only
for f in {base,model,net,supervisord,agent,ctl}/*.[ch] tests/{unit,sim,fuzz,bench,tools}/*.[ch]; do
    [[ -e $f && $f != base/banned.h ]] || continue
    words=$banned
    [[ $f == tests/* ]] || words+="|$shell"
    while IFS=: read -r line text; do complain "$f:$line: banned: ${text#"${text%%[![:space:]]*}"}"; done < <(code "$f" | grep -nE "(^|[^_>.[:alnum:]])($words)\(")
    head -c 200 "$f" | grep -q . || complain "$f:1: empty"
    [[ $f == *.h ]] && ! grep -q '^#pragma once' "$f" && complain "$f:1: no #pragma once"
    [[ $f == *.h && $(head -c 3 "$f") != "/* " ]] && complain "$f:1: the header does not begin with what it is for"
    grep -nP '\t' "$f" | head -1 | while IFS=: read -r line _; do echo "$f:$line: a tab"; done | grep . && bad=1
    awk -v f="$f" 'length > 210 { print f ":" NR ": " length " columns"; bad = 1 } END { exit bad }' "$f" || bad=1
done
for f in etc/*.sh tests/*.sh tests/scenario/*.sh .ci/run; do
    [ -e "$f" ] && ! bash -n "$f" && bad=1
done
[ $bad = 0 ] && echo "= no complaint"
exit $bad
