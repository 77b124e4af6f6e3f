#!/bin/bash
# run.sh - does the suite catch planted defects? For each NAME.patch here: a copy of the tree gets the patch, what its first line
# names is built and run, and must FAIL. `# test: tests/unit/test_x` or `# test: sim 1..20` (seeds) in the patch's first line. A patch that no
# longer applies is a failure too: it must be renewed. Usage: tests/mutants/run.sh [NAME ...]
set -u
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d "${TMPDIR:-/tmp}/muster-mutants-$$-XXXXXX")
trap 'rm -rf "$work"' EXIT
git ls-files -z | xargs -0 cp --parents -pt "$work" || exit 1
passed=0 failed=0
if [ $# -gt 0 ]; then patches=(); for n in "$@"; do patches+=("tests/mutants/${n%.patch}.patch"); done; else patches=(tests/mutants/*.patch); fi

say() { printf '%-5s %s%s\n' "$1" "$2" "${3:+: $3}"; }

# Builds and runs what the patch names; 0 if it failed as it should.
caught() {
    local kind=$1 args=${2:-}
    if [ "$kind" = sim ]; then
        make -s -C "$work" O=build CFLAGS='-O1 -g' build/sim >"$work/log" 2>&1 || { echo "does not build"; return 2; }
        ! (cd "$work" && timeout 300 build/sim --seeds "$args" >"$work/log" 2>&1)
    else
        make -s -C "$work" O=build CFLAGS='-O1 -g' "build/$kind" >"$work/log" 2>&1 || { echo "does not build"; return 2; }
        ! (cd "$work" && timeout 120 "build/$kind" >"$work/log" 2>&1)
    fi
}

for p in "${patches[@]}"; do
    name=$(basename "$p" .patch)
    read -r _ _ kind args < <(head -n1 "$p")
    if ! patch -s -p1 -d "$work" <"$p" >/dev/null 2>&1; then
        say FAIL "$name" "the patch does not apply any more"; failed=$((failed + 1))
        git ls-files -z | xargs -0 cp --parents -pt "$work"
        continue
    fi
    why=$(caught "$kind" "$args"); rc=$?
    case $rc in
    0) say ok "$name" "caught by $kind $args"; passed=$((passed + 1)) ;;
    2) say FAIL "$name" "$why"; tail -n 5 "$work/log"; failed=$((failed + 1)) ;;
    *) say FAIL "$name" "NOT caught by $kind $args"; failed=$((failed + 1)) ;;
    esac
    patch -s -R -p1 -d "$work" <"$p" >/dev/null 2>&1
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
