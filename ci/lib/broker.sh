# shellcheck shell=bash
# The broker under test: Highwater, or a real Kafka as the oracle that every check must pass first. Sourced after
# paths.sh. AGAINST is highwater (default) or kafka; BROKER_OPTIONS are more arguments for `highwater serve`.
#
# A broker lives in a folder (made on the first start) and keeps its address over restarts:
#
#   broker_start FOLDER   prints HOST:PORT when it serves
#   broker_stop FOLDER    SIGTERM; fails if the end was not clean
#   broker_kill FOLDER    SIGKILL
#   broker_data FOLDER    prints the folder of the partitions

AGAINST=${AGAINST:-highwater}
HIGHWATER=${HIGHWATER:-${CARGO_TARGET_DIR:-$ROOT/target}/release/highwater}
export AGAINST HIGHWATER

BROKER_START_SECONDS_MAX=30
BROKER_STOP_SECONDS_MAX=30

broker_start() { "${AGAINST}_start" "$(realpath -m "$1")"; }
broker_stop() { "${AGAINST}_stop" "$(realpath -m "$1")"; }
broker_kill() { "${AGAINST}_kill" "$(realpath -m "$1")"; }
broker_data() { "${AGAINST}_data" "$(realpath -m "$1")"; }

# --- a real Kafka --------------------------------------------------------------------------------------------

kafka_start() { "$CLIENTS/kafka" start "$1"; }
kafka_stop() { "$CLIENTS/kafka" stop "$1"; }
kafka_kill() { "$CLIENTS/kafka" kill "$1"; }
kafka_data() { "$CLIENTS/kafka" data "$1"; }

# --- Highwater -----------------------------------------------------------------------------------------------

highwater_start() {
  local folder=$1 address deadline=$((SECONDS + BROKER_START_SECONDS_MAX))
  [ -x "$HIGHWATER" ] || { echo "no program at $HIGHWATER: build it first" >&2; return 1; }
  mkdir -p "$folder"
  if [ -s "$folder/pid" ] && [ ! -e "$folder/status" ] && kill -0 "$(cat "$folder/pid")" 2>/dev/null; then
    echo "a broker already runs in $folder" >&2
    return 1
  fi
  rm -f "$folder/pid" "$folder/status"
  [ -s "$folder/address" ] || echo "127.0.0.1:$(python3 "$ROOT/ci/lib/free_port.py")" >"$folder/address"
  address=$(cat "$folder/address")
  # A shell in between keeps the status of a broker that nobody waits for.
  # shellcheck disable=SC2086 # options are words
  (
    "$HIGHWATER" serve --data "$folder/data" --listen "$address" \
      --override group.initial.rebalance.delay.ms=0 ${BROKER_OPTIONS:-} \
      >>"$folder/server.log" 2>&1 </dev/null &
    echo $! >"$folder/pid"
    status=0
    wait $! || status=$?
    echo "$status" >"$folder/status.new"
    mv "$folder/status.new" "$folder/status"
  ) >/dev/null 2>&1 &
  until [ -s "$folder/pid" ] && (exec 3<>"/dev/tcp/${address%:*}/${address#*:}") 2>/dev/null; do
    if [ -e "$folder/status" ] || [ "$SECONDS" -ge "$deadline" ]; then
      echo "the broker does not serve at $address; the end of $folder/server.log:" >&2
      tail -n 20 "$folder/server.log" >&2
      return 1
    fi
    sleep 0.02
  done
  echo "$address"
}

highwater_stop() {
  local status
  status=$(highwater_end "$1" TERM)
  [ "$status" = 0 ] || {
    echo "after SIGTERM the broker ended with status $status; the end of $1/server.log:" >&2
    tail -n 20 "$1/server.log" >&2
    return 1
  }
}

highwater_kill() { highwater_end "$1" KILL >/dev/null; }

# Sends the signal and prints the status with which the broker ended.
highwater_end() {
  local folder=$1 deadline=$((SECONDS + BROKER_STOP_SECONDS_MAX))
  kill "-$2" "$(cat "$folder/pid")" 2>/dev/null || true
  until [ -e "$folder/status" ]; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      kill -KILL "$(cat "$folder/pid")" 2>/dev/null || true
      echo "none: it did not end within $BROKER_STOP_SECONDS_MAX s"
      return 0
    fi
    sleep 0.02
  done
  cat "$folder/status"
}

highwater_data() { echo "$1/data"; }
