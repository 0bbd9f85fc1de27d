#!/usr/bin/env bash
# A container engine that answers, with a default network that works.
#
#   engine.sh         uses the one that is there; as root, installs and starts one where there is none
#   engine.sh stop    stops the one that this script started, and no other
#
# Leaves nothing behind but Debian's docker.io, and the daemon's pid and log under the cache folder.
set -euo pipefail
# shellcheck source=deploy/scripts/steps.sh
. "$(dirname "$0")/steps.sh"
PIDFILE=$CACHE/dockerd.pid
LOG=$CACHE/dockerd.log

answers() { timeout 10 docker version --format '{{.Server.Version}}' 2>"$CACHE/engine.err"; }

# The daemon we started, if it still lives: a recycled pid is not taken for it.
our_daemon() {
  local pid
  pid=$(cat "$PIDFILE" 2>/dev/null) || return 1
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] && echo "$pid"
}

stop() {
  local pid
  pid=$(our_daemon) || { note "no engine was started from here"; return; }
  step "Stopping the engine started from here (pid $pid)"
  kill -TERM "$pid"
  for _ in $(seq 150); do [ -e "/proc/$pid" ] || break; sleep 0.1; done
  [ ! -e "/proc/$pid" ] || die "dockerd (pid $pid) does not end" "its log: $LOG"
  rm -f "$PIDFILE"
}

start() {
  step "Starting the container engine (dockerd); its log: $LOG"
  setsid dockerd >>"$LOG" 2>&1 </dev/null &
  echo $! >"$PIDFILE"
  for _ in $(seq 120); do
    answers >/dev/null && return
    [ -e "/proc/$(cat "$PIDFILE")" ] || break
    sleep 0.5
  done
  die "the container engine does not come up" "$(tail -n 3 "$LOG")" "all of it: $LOG"
}

# Whether containers can be given the default network. Prints what is wrong and what mends it.
default_network() {
  local bridge gateway
  if ! bridge=$(docker network inspect bridge --format '{{index .Options "com.docker.network.bridge.name"}}' 2>/dev/null); then
    echo "the engine has no default network 'bridge' (a killed dockerd can leave it so, or it runs with --bridge=none)"
    echo "mend: stop dockerd; ip link delete docker0; rm /var/lib/docker/network/files/local-kv.db; start dockerd"
    return 1
  fi
  # A remote engine's or a virtual machine's interfaces are not ours to see.
  case $(docker context inspect --format '{{.Endpoints.docker.Host}}' 2>/dev/null) in unix:///var/run/docker.sock | unix:///run/docker.sock) ;; *) return 0 ;; esac
  if ! docker info --format '{{.OperatingSystem}} {{join .SecurityOptions " "}}' | grep -qiE 'desktop|rootless'; then
    if ! grep -q "^ *$bridge:" /proc/net/dev; then
      echo "the engine's default network exists, but its interface $bridge does not"
      echo "mend: restart dockerd, which makes the interface again"
      return 1
    fi
    gateway=$(docker network inspect bridge --format '{{range .IPAM.Config}}{{.Gateway}}{{end}}')
    if have ip && [ -n "$gateway" ] && ! ip -o addr show dev "$bridge" | grep -qF " $gateway/"; then
      echo "the interface $bridge lacks the address $gateway of the engine's default network"
      echo "mend: stop dockerd; ip link delete $bridge; start dockerd"
      return 1
    fi
  fi
}

case ${1:-} in
stop) stop; exit ;;
network) default_network; exit ;;
'') ;;
*) echo "usage: engine.sh [stop|network]" >&2; exit 2 ;;
esac

have docker || install_packages docker.io
if ! version=$(answers); then
  if grep -qi 'permission denied' "$CACHE/engine.err"; then
    die "no permission to use the engine's socket" \
      "mend: sudo usermod -aG docker $(id -un), then log in again (or run this as root)"
  fi
  if [ -n "${DOCKER_HOST:-}" ]; then
    die "the engine at DOCKER_HOST=$DOCKER_HOST does not answer" "$(tail -n 1 "$CACHE/engine.err")" \
      "mend: start it, or unset DOCKER_HOST"
  fi
  [ "$(id -u)" = 0 ] || die "no container engine answers, and only root can start one" \
    "mend: sudo systemctl start docker (or run this once as root)"
  have dockerd || install_packages docker.io iptables ca-certificates
  # Where the package's own service brought it up meanwhile, no second one is started.
  answers >/dev/null || start
  version=$(answers) || die "the container engine does not answer" "$(cat "$CACHE/engine.err")"
fi
note "container engine $version"
if our_daemon >/dev/null; then note "it was started from here; to stop it: deploy/scripts/engine.sh stop"; fi
if ! trouble=$(default_network); then
  warn "$(head -n 1 <<<"$trouble")"
  note "$(tail -n +2 <<<"$trouble")"
  note "containers without a network of their own are not affected"
fi
