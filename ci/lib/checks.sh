# shellcheck shell=bash
# How a check program of ci/ speaks: one line per fact, `ok - fact` or `not ok - fact`, and a status of 1 when a
# fact does not hold. Sourced after paths.sh.
#
#   check FACT COMMAND...   runs COMMAND (a function, usually) in a subshell with errexit, prints the line, and
#                           what the command said if it failed
#   finish                  the last line of the program: a check that ran nothing is a failure too

checks_passed=0
checks_failed=0
SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/highwater-check.XXXXXX")
trap 'rm -rf "$SCRATCH"' EXIT
export SCRATCH

check() {
  local fact=$1 status
  shift
  set +e
  (set -euo pipefail; "$@") >"$SCRATCH/said" 2>&1
  status=$?
  set -e
  if [ "$status" -eq 0 ]; then
    checks_passed=$((checks_passed + 1))
    echo "ok - $fact"
  else
    checks_failed=$((checks_failed + 1))
    echo "not ok - $fact (status $status)"
    tail -n 40 "$SCRATCH/said" | cut -c1-400 | sed 's/^/    /'
  fi
}

finish() {
  if [ $((checks_passed + checks_failed)) -eq 0 ]; then
    echo "not ok - $(basename "$0") checked nothing"
    exit 1
  fi
  [ "$checks_failed" -eq 0 ]
}

# Ends the check with a reason.
fail() {
  echo "FAIL: $*"
  exit 1
}

# same WHAT EXPECTED ACTUAL: two short strings.
same() {
  [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"
}

# same_bytes WHAT EXPECTED_FILE ACTUAL_FILE: byte for byte, by content and by checksum.
same_bytes() {
  [ -s "$2" ] || fail "$1: nothing to compare: $2 is empty"
  local expected actual
  expected=$(sha256sum <"$2")
  actual=$(sha256sum <"$3")
  if [ "$expected" != "$actual" ] || ! cmp -s "$2" "$3"; then
    echo "expected: $(wc -lc <"$2") lines and bytes, actual: $(wc -lc <"$3")"
    cmp "$2" "$3" || true
    fail "$1: bytes differ"
  fi
  echo "$1: sha256 ${actual%% *}"
}

# await WHAT SECONDS COMMAND...: until the command succeeds; for what can only be observed from outside.
await() {
  local what=$1 deadline=$((SECONDS + $2))
  shift 2
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || fail "waited in vain: $what"
    sleep 0.05
  done
}

# A topic name that no earlier run on the same broker used.
fresh_topic() {
  echo "$1-$(date +%s%N | tail -c 11)-$RANDOM"
}

# The one argument of every client check.
address_argument() {
  case "${1:-}" in
    *:*) echo "$1" ;;
    *) echo "usage: $(basename "$0") HOST:PORT" >&2; exit 2 ;;
  esac
}
