#!/bin/bash
# The units are sound, and what is installed is taken away again without a trace.
. /src/tests/systemd/inside.sh
before() { (cd / && find usr etc var/lib -xdev \( -path etc/systemd/system -o -path var/lib/systemd \) -prune -o -newermt @0 -print | sort); }
before >"$T/before"
install_muster
for u in $(cd /usr/local/lib/systemd/system && ls); do
    systemd-analyze verify --man=yes "$u" >"$T/verify" 2>&1
    rc=$?
    grep -i muster "$T/verify" && fail "systemd-analyze verify $u"
    expect "systemd-analyze verify $u" [ $rc = 0 ]
done
systemctl enable --now musterd muster-agent >/dev/null 2>&1 || fail "enable"
for u in musterd muster-agent; do
    systemd-analyze security --no-pager "$u" >"$T/security" 2>&1
    say "$(tail -1 "$T/security")"
done
score=$(systemd-analyze security --no-pager musterd 2>/dev/null | sed -n 's/.*level for musterd.service: \([0-9]*\)\.\([0-9]\).*/\1\2/p')
expect "musterd's exposure is at most 1.5 of 10" [ "${score:-100}" -le 15 ]
for page in $(cd /usr/local/share/man && ls man*/muster* | cut -d/ -f2); do
    expect "man $page" bash -c "MANPATH=/usr/local/share/man man --warnings -P cat ${page##*.} ${page%.*} 2>&1 >/dev/null | tee $T/man.err | { ! grep -q .; }"
done

make -C /src --no-print-directory uninstall >"$T/uninstall.log" 2>&1 || fail "make uninstall: $(cat "$T/uninstall.log")"
expect "uninstall stops it all" bash -c "! pgrep -x musterd && ! pgrep -x muster-agent"
before >"$T/after"
diff "$T/before" "$T/after" | grep '^>' | grep -vE '^> (etc/muster(/agent.yaml|/secrets)?|var/lib/muster(-agent)?(/.*)?|etc/(passwd|group|g?shadow|sub[ug]id)-?|usr/local/(lib|share).*|etc/\.pwd\.lock)$' >"$T/left"
expect "it leaves configuration, state and accounts, nothing else" [ ! -s "$T/left" ]
expect "no file below /usr" bash -c "! find /usr/local -name '*muster*' -type f | grep ."

id nobody >/dev/null && as=(setpriv --reuid nobody --clear-groups --regid nogroup)
mkdir /tmp/staged && chown nobody /tmp/staged
expect "anybody may install into a DESTDIR" "${as[@]}" make -C /src --no-print-directory DESTDIR=/tmp/staged PREFIX=/usr install
expect "with the distribution's places" test -x /tmp/staged/usr/bin/musterd -a -f /tmp/staged/usr/lib/systemd/system/musterd.service
expect "and its paths in the units" grep -q '^ExecStart=/usr/bin/musterd ' /tmp/staged/usr/lib/systemd/system/musterd.service
expect "it made nothing else" [ "$(id -u muster 2>/dev/null || echo none)" != "" ]
echo "= verified, installed, uninstalled"
