#!/bin/bash
# run.sh - does the suite catch planted defects? A copy of the tree is kept in $O/mutants; for each NAME.patch here it gets the patch, and what the
# patch's first line names is built, run, and must FAIL; without the patch it must pass, which is looked at first. That line is one of
#     # test: tests/unit/test_x          a unit test
#     # test: sim 1..20                  the simulator with these seeds
#     # test: scenario NAME ARGS         tests/scenario/NAME.sh with the real programs
# A patch that no longer applies, or does not build, is a failure too: renew it. Usage: tests/mutants/run.sh [NAME ...]
set -u
cd "$(dirname "$0")/../.." || exit 1
mkdir -p "${O:-build}/mutants" || exit 1
tree=$(cd "${O:-build}/mutants" && pwd)
exec 9>"$tree/.lock"
flock -n 9 || { echo "another run.sh works in $tree"; exit 1; }
log=$tree/.log
passed=0 failed=0 skipped=0
if [ $# -gt 0 ]; then patches=(); for n in "$@"; do n=${n##*/}; patches+=("tests/mutants/${n%.patch}.patch"); done; else patches=(tests/mutants/*.patch); fi

say() { printf '%-5s %s%s\n' "$1" "$2" "${3:+: $3}"; }
test_of() { sed -n '1s/^# test: //p' "$1"; }

files() { git ls-files -co --exclude-standard -z "$@"; }
# The copy as it should be. What differs (changed here, or left changed there by an interrupted run) is copied with a new time, so that make sees it.
refresh() {
    files "$@" | while IFS= read -r -d '' f; do
        [ -f "$f" ] && { cmp -s "$f" "$tree/$f" || cp --parents -t "$tree" "$f"; }
    done
}
remove_what_is_gone() {
    files | sort -z >"$tree/.files.new"
    [ -f "$tree/.files" ] && comm -z -23 "$tree/.files" "$tree/.files.new" | (cd "$tree" && xargs -0r rm -f --)
    mv "$tree/.files.new" "$tree/.files"
}

# Builds and runs: 0 passed, 1 failed, 2 does not build, 77 could not run here. The programs hear nothing of $O: the copy has its own.
try() {
    local kind=$1 target; shift
    case $kind in sim) target=build/sim ;; scenario) target="all tools" ;; *) target=build/$kind ;; esac
    # shellcheck disable=SC2086
    env -u MAKEFLAGS -u MAKELEVEL make -s -j2 -C "$tree" O=build CFLAGS='-O1 -g' $target >"$log" 2>&1 || return 2
    (   cd "$tree" || exit 2
        export O=build
        exec 9>&-
        case $kind in
        sim) timeout 300 build/sim --seeds "$@" ;;
        scenario) timeout 120 "tests/scenario/$1.sh" "${@:2}" ;;
        *) timeout 60 "build/$kind" ;;
        esac ) >"$log" 2>&1 </dev/null
    local rc=$?
    case $rc in 0|77) return $rc ;; *) return 1 ;; esac
}

remove_what_is_gone
refresh
declare -A without          # what each named test says without a defect
for p in "${patches[@]}"; do
    t=$(test_of "$p")
    [ -n "$t" ] && [ -z "${without[$t]:-}" ] || continue
    # shellcheck disable=SC2086
    try $t
    without[$t]=$?
    [ "${without[$t]}" = 0 ] || { say note "without a defect, $t says ${without[$t]}"; tail -n 5 "$log"; }
done

for p in "${patches[@]}"; do
    name=$(basename "$p" .patch)
    t=$(test_of "$p")
    mapfile -t files < <(sed -n 's,^+++ b/,,p' "$p")
    case ${without[$t]:-1} in
    0) ;;
    77) say skip "$name" "$t cannot run here"; skipped=$((skipped + 1)); continue ;;
    *) say FAIL "$name" "no test named that passes without the defect: '$t'"; failed=$((failed + 1)); continue ;;
    esac
    rc=3
    if patch -s -f -F1 -p1 --no-backup-if-mismatch -r- -d "$tree" <"$p" >/dev/null 2>&1; then
        # shellcheck disable=SC2086
        try $t
        rc=$?
    fi
    case $rc in
    1) say ok "$name" "caught by $t"; passed=$((passed + 1)) ;;
    0) say FAIL "$name" "NOT caught by $t"; failed=$((failed + 1)) ;;
    2) say FAIL "$name" "does not build"; tail -n 5 "$log"; failed=$((failed + 1)) ;;
    3) say FAIL "$name" "the patch does not apply any more"; failed=$((failed + 1)) ;;
    77) say skip "$name" "$t could not run"; skipped=$((skipped + 1)) ;;
    esac
    refresh "${files[@]}"
done
echo "$passed caught, $failed not, $skipped skipped"
[ "$failed" = 0 ]
