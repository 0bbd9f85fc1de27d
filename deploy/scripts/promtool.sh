#!/usr/bin/env bash
# Checks with Prometheus' own programs what is made for Prometheus.
#
#   promtool.sh           the alert rules against their tests; then a supervisor of its own (dist/diogenes) is scraped,
#                         by promtool and by a Prometheus that runs the rules
#   promtool.sh rules     the rules and their tests only
#
# Where the machine has no Prometheus, Debian's package is unpacked into the cache folder (100 MB) and not installed:
# installed, it would start a service. What is started here listens on the loopback and ends with the script.
set -euo pipefail
# shellcheck source=deploy/scripts/steps.sh
. "$(dirname "$0")/steps.sh"
RULES=$REPO/deploy/prometheus
# No less than a supervisor without any container has.
LEAST_SERIES=20

# Debian's Prometheus, without its service.
unpack_prometheus() {
  local unpacked=$CACHE/prometheus
  if [ ! -x "$unpacked/usr/bin/promtool" ]; then
    have apt-get || die "promtool is missing, and this machine has no apt-get" "install Prometheus by hand"
    step "Unpacking Debian's prometheus into $unpacked"
    rm -rf "$unpacked.new"
    mkdir "$unpacked.new"
    (cd "$unpacked.new" && { apt-get download -q prometheus || { as_root apt-get update -q && apt-get download -q prometheus; }; } &&
      dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb) >"$CACHE/prometheus.log" 2>&1 ||
      die "Debian's prometheus cannot be had" "$(tail -n 3 "$CACHE/prometheus.log")" "all of it: $CACHE/prometheus.log"
    mv "$unpacked.new" "$unpacked"
  fi
  PATH=$unpacked/usr/bin:$PATH
}

check_rules() {
  step "Alert rules and their tests"
  promtool check config "$RULES/prometheus.yml"
  (cd "$RULES" && promtool test rules diogenes.rules.test.yml)
}

# A loopback port that nobody listens on.
free_port() {
  local port
  for port in $(shuf -i 20000-32000 -n 50); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  die "no port is free"
}

# Ends what was started here, and nothing else.
clean_up() {
  local pid
  for pid in "${started[@]}"; do
    kill "$pid" 2>/dev/null || continue
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
}

start_supervisor() {
  local address
  [ -x "$REPO/dist/diogenes" ] || die "there is no dist/diogenes" "mend: make build"
  "$REPO/dist/diogenes" serve --run-dir="$work/run" --state-dir="$work/state" --listen=127.0.0.1:0 >"$work/serve.log" 2>&1 &
  started+=($!)
  for _ in $(seq 100); do
    address=$(sed -n 's|.*http://\(127\.0\.0\.1:[0-9]*\).*|\1|p' "$work/serve.log")
    [ -n "$address" ] && { target=$address; return; }
    sleep 0.1
  done
  die "the supervisor does not come up" "$(tail -n 3 "$work/serve.log")"
}

check_scrape() {
  step "A supervisor's metrics, in the classic text"
  curl -sSf "http://$target/metrics" >"$work/metrics"
  promtool check metrics <"$work/metrics"
  note "$(grep -vc '^#' "$work/metrics") series, $(wc -c <"$work/metrics") bytes"
}

# The first value of an instant query; empty where there is none.
ask() { promtool query instant "http://127.0.0.1:$port" "$1" | sed -n '1s/.*=> \([^ ]*\) .*/\1/p'; }

check_prometheus() {
  step "Prometheus, which asks for OpenMetrics"
  port=$(free_port)
  sed "s/127.0.0.1:4120/$target/; s/scrape_interval: .*/scrape_interval: 1s/" "$RULES/prometheus.yml" >"$work/prometheus.yml"
  printf 'global:\n  evaluation_interval: 1s\n' >>"$work/prometheus.yml"
  cp "$RULES/diogenes.rules.yml" "$work/"
  prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/tsdb" \
    --web.listen-address="127.0.0.1:$port" >"$work/prometheus.log" 2>&1 &
  started+=($!)
  local series='' scrapes=''
  for _ in $(seq 60); do
    sleep 0.5
    scrapes=$(ask 'sum_over_time(up{job="diogenes"}[1m])' 2>/dev/null) || continue
    [ "${scrapes:-0}" -ge 3 ] && break
  done
  [ "${scrapes:-0}" -ge 3 ] || die "Prometheus cannot scrape the supervisor" \
    "$(curl -s "http://127.0.0.1:$port/api/v1/targets" | grep -o '"lastError":"[^"]*"')" "$(tail -n 3 "$work/prometheus.log")"
  series=$(ask 'count({__name__=~"diogenes_.*|process_.*", job="diogenes"})')
  [ "$series" -ge "$LEAST_SERIES" ] || die "Prometheus has only $series series of the supervisor"
  [ "$(ask "count({__name__=\"diogenes_build_info\"})")" = 1 ] || die "diogenes_build_info is not among the series"
  if curl -s "http://127.0.0.1:$port/api/v1/rules" | grep -o '"lastError":"[^"]\+"'; then
    die "a rule cannot be evaluated"
  fi
  note "$scrapes scrapes, none failed; $series series"
}

{ have promtool && have prometheus; } || unpack_prometheus
check_rules
[ "${1:-}" = rules ] && exit
started=()
work=$(mktemp -d)
trap clean_up EXIT
start_supervisor
check_scrape
check_prometheus
