#!/bin/bash
# All of it works for an ordinary user too: the story of first_answer.sh, told by user 65534.
# timeout: 60
here=$(cd "$(dirname "$0")" && pwd)
[ "$(id -u)" = 0 ] || { echo "is an ordinary user already: first_answer.sh tells it"; exit 77; }
drop=(setpriv --reuid 65534 --regid 65534 --clear-groups env -u XDG_RUNTIME_DIR -u XDG_STATE_HOME HOME=/nonexistent)
"${drop[@]}" test -r "$here/lib.sh" -a -x "$here/../../${O:-build}/musterctl" || { echo "user 65534 may not read $here"; exit 77; }
exec "${drop[@]}" "$here/first_answer.sh"
