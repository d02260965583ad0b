# shellcheck shell=bash
# Members of groups that run in the background, and what they have read. Sourced after checks.sh by programs that set
# `broker`.

lines() { awk -v n="$1" -v tag="$2" 'BEGIN { for (i = 0; i < n; i++) printf "%s-%d\n", tag, i }'; }

# One line a record, round and round over the partitions: librdkafka's random partitioner spreads them well enough.
fill() { kcat -b "$broker" -m 30 -P -t "$1" -X linger.ms=20 -X sticky.partitioning.linger.ms=0; }

# Lines of all these files.
line_count() { cat "$@" | wc -l; }
has_lines() {
  local count=$1
  shift
  [ "$(line_count "$@")" -ge "$count" ]
}

# same_lines WHAT WANTED FILE...: every line once, in whatever order.
same_lines() {
  local what=$1 wanted=$2
  shift 2
  sort "$wanted" >"$SCRATCH/wanted-sorted"
  sort "$@" >"$SCRATCH/found-sorted"
  same_bytes "$what" "$SCRATCH/wanted-sorted" "$SCRATCH/found-sorted"
}

# kcat_member NAME GROUP TOPIC OPTION...: in the background; its records in $SCRATCH/NAME, its pid in
# $SCRATCH/NAME.pid, what it says of itself in $SCRATCH/NAME.said.
kcat_member() {
  local name=$1 group=$2 topic=$3
  shift 3
  kcat -b "$broker" -u -X heartbeat.interval.ms=300 -X auto.offset.reset=earliest "$@" -G "$group" "$topic" \
    >"$SCRATCH/$name" 2>"$SCRATCH/$name.said" &
  echo $! >"$SCRATCH/$name.pid"
}

# What a failed check has left behind.
end_members() {
  local file
  for file in "$SCRATCH"/*.pid; do
    [ ! -s "$file" ] || kill -KILL "$(cat "$file")" 2>/dev/null || true
  done
  rm -rf "$SCRATCH"
}
trap end_members EXIT

end_member() {
  local pid
  pid=$(cat "$SCRATCH/$1.pid")
  kill -TERM "$pid"
  wait "$pid" || true
  rm "$SCRATCH/$1.pid"
}

# The number of partitions that a kcat said it was assigned last.
kcat_share() { grep 'rebalanced.*assigned' "$SCRATCH/$1.said" | tail -n 1 | grep -o '\[[0-9]*\]' | wc -l; }
has_share() { [ "$(kcat_share "$1")" = "$2" ]; }
