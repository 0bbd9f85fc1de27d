#!/usr/bin/env bash
# Three real containers that know themselves. One of them is broken from the inside, and tells why.
#
#   demo.sh         installs and builds what is missing, shows it all; on a terminal leaves it running
#   demo.sh down    ends what a demo left running
#
# Exit 0 only if every step showed what it should. Containers carry the label io.diogenes.demo; the supervisor has
# folders of its own, so that another one on this machine is not touched.
set -euo pipefail
# shellcheck source=deploy/scripts/steps.sh
. "$(dirname "$0")/../scripts/steps.sh"
DEMO=$CACHE/demo
LOG=$DEMO/serve.log
PIDFILE=$DEMO/serve.pid
LABEL=io.diogenes.demo=1

diogenes() { # command, arguments
  local command=$1
  shift
  as_root "$REPO/dist/diogenes" "$command" --run-dir "$DEMO/run" "$@"
}
health() { diogenes status --json | jq -r --arg name "$1" '.containers[] | select(.name == $name) | .health'; }

# Waits until a container has the health, and says how long that took. The bound is in seconds.
await_health() { # container, health, bound
  local start=$EPOCHREALTIME now seen=
  while :; do
    seen=$(health "$1" 2>/dev/null || true)
    now=$EPOCHREALTIME
    local ms=$(((${now/[.,]/} - ${start/[.,]/}) / 1000))
    if [ "$seen" = "$2" ]; then
      note "$1 is $2 (after $((ms / 1000)).$(printf %03d $((ms % 1000))) s)"
      return
    fi
    [ "$ms" -lt $(($3 * 1000)) ] || die "$1 is not $2 within $3 s; it is ${seen:-not known}"
    sleep 0.05
  done
}

# The answer to a question, shown; it must say what the pattern says.
ask() { # container, question, pattern...
  local name=$1 question=$2 answer pattern
  shift 2
  printf '\n        %s$ diogenes ask %s "%s"%s\n' "$BOLD" "$name" "$question" "$PLAIN"
  answer=$(diogenes ask "$name" "$question") || die "$name did not answer"
  # shellcheck disable=SC2001 # each line is indented
  sed 's/^/        /' <<<"$answer"
  for pattern in "$@"; do
    grep -qiE "$pattern" <<<"$answer" || die "the answer does not say what it should ($pattern)"
  done
}
show_status() {
  printf '\n        %s$ diogenes status %s%s\n' "$BOLD" "$*" "$PLAIN"
  diogenes status "$@"
  echo
}

down() {
  local pid containers
  pid=$(cat "$PIDFILE" 2>/dev/null || true)
  if [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = diogenes ]; then
    as_root kill -TERM "$pid" || true
    for _ in $(seq 100); do [ -e "/proc/$pid" ] || break; sleep 0.1; done
    if [ -e "/proc/$pid" ]; then
      warn "the supervisor (pid $pid) does not end by itself: it is killed"
      as_root kill -KILL "$pid" || true
    fi
  fi
  mapfile -t containers < <(docker ps -aq --filter "label=$LABEL" 2>/dev/null)
  [ ${#containers[@]} -eq 0 ] || docker rm -f -v "${containers[@]}" >/dev/null
  as_root rm -rf "$DEMO"
}

# What went wrong is on the screen by now; the log says the rest.
on_exit() {
  local status=$?
  trap - EXIT
  [ "$status" != 0 ] || return 0
  if [ -s "$LOG" ]; then
    note "the supervisor's last lines:" >&2
    tail -n 15 "$LOG" | sed 's/^/        | /' >&2
  fi
  down
  note "everything that the demo started is gone again" >&2
  exit "$status"
}

free_port() {
  local port
  for port in 4120 $(seq 4121 4199); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  die "no port from 4120 to 4199 is free on 127.0.0.1"
}

case ${1:-} in
down)
  step "Ending what the demo left running"
  down
  if [ -e "$CACHE/dockerd.pid" ]; then note "the container engine goes on; to stop it: deploy/scripts/engine.sh stop"; fi
  exit
  ;;
'') ;;
*) echo "usage: demo.sh [down]" >&2; exit 2 ;;
esac

step "1/8 What the demo needs: toolchain, container engine, images, programs"
as_root true || die "entering containers needs root" "mend: run this as root, or run 'sudo -v' first"
have jq || install_packages jq
cd "$REPO"
deploy/scripts/toolchain.sh
deploy/scripts/engine.sh
deploy/scripts/images.sh
deploy/scripts/build.sh

trap on_exit EXIT
trap 'exit 130' INT TERM
down
mkdir -p "$DEMO"

port=$(free_port)
step "2/8 Starting the supervisor: diogenes serve, on 127.0.0.1:$port"
[ "$port" = 4120 ] || note "its usual port 4120 is taken"
# shellcheck disable=SC2016 # expanded by the inner shell, whose pid becomes the supervisor's
as_root setsid sh -c 'echo $$ >"$1"; shift; exec "$@"' serve "$PIDFILE" \
  "$REPO/dist/diogenes" serve --run-dir "$DEMO/run" --state-dir "$DEMO/state" --listen "127.0.0.1:$port" \
  </dev/null >"$LOG" 2>&1 &
serve=$!
for _ in $(seq 100); do
  up=$(diogenes status --json 2>/dev/null || true)
  [ -z "$up" ] || break
  [ -e "/proc/$serve" ] || die "the supervisor ended at its start"
  sleep 0.1
done
[ -n "$up" ] || die "the supervisor does not answer within 10 s"

step "3/8 Starting three containers: demo-redis, demo-web (nginx before FastAPI), demo-postgres"
network=bridge
if ! trouble=$(deploy/scripts/engine.sh network); then
  network=none
  warn "the containers do without a network: $(head -n 1 <<<"$trouble")"
fi
run() { # name, image, option...
  local name=$1 image=$2 error
  local options=("${@:3}" --label "$LABEL" --name "$name" --network "$network")
  if [ "$network" = bridge ] && [ "$name" = demo-web ]; then options+=(--publish 127.0.0.1::80); fi
  error=$(docker run -d "${options[@]}" "$image" 2>&1 >/dev/null) && return
  [ "$network" = bridge ] || die "$name does not start" "$error"
  warn "$name does not start on the engine's default network: $(tail -n 1 <<<"$error")"
  note "restarting the engine usually mends that; the demo goes on without a network"
  docker rm -f -v "$name" >/dev/null 2>&1 || true
  network=none
  run "$@"
}
run demo-redis diogenes-demo/redis --memory 128m
run demo-web diogenes-demo/web
run demo-postgres diogenes-demo/postgres
for name in demo-redis demo-web demo-postgres; do await_health "$name" healthy 60; done

step "4/8 What they are, seen from within"
show_status
if address=$(docker port demo-web 80 2>/dev/null | head -n 1) && [ -n "$address" ]; then
  note "the application is at http://$address/"
fi

step "5/8 Asking each"
ask demo-redis status redis '\bhealthy'
ask demo-web status fastapi nginx '\bhealthy'
ask demo-postgres status postgres '\bhealthy'
echo

step "6/8 Killing Redis inside its container; the container lives on"
# shellcheck disable=SC2016 # expanded inside the container
docker exec demo-redis sh -c 'kill -9 $(pidof redis-server)' || die "Redis could not be killed"
await_health demo-redis unhealthy 10
note "the engine meanwhile says: $(docker inspect demo-redis --format '{{.State.Status}}')"
show_status demo-redis

step "7/8 Asking it why"
ask demo-redis "why is redis down?" redis 'kill|died|ended|exited|gone|no longer'
echo

step "8/8 Starting Redis again"
docker exec demo-redis start-redis || die "Redis could not be started"
await_health demo-redis healthy 20
ask demo-redis status redis '\bhealthy'
echo

if [ -t 1 ]; then
  step "All of it goes on running. Try:"
  note "export DIOGENES_RUN_DIR=$DEMO/run"
  note "dist/diogenes status --watch"
  note "dist/diogenes ask demo-web \"what listens where?\""
  note "curl 127.0.0.1:$port/api/v1/containers/demo-web"
  note "docker exec demo-web sh -c 'kill -STOP \$(pidof -x uvicorn)'   and then: dist/diogenes status"
  note "To stop it all: make demo-down"
else
  down
  step "Every step showed what it should; all that was started is gone again"
fi
