#!/usr/bin/env bash
# Feeds the readers of untrusted bytes with bytes that libFuzzer makes up: the targets of tests/fuzz, one at a time.
#
#   fuzz.sh [TARGET...]          all targets, or these, for SECONDS_EACH=60 seconds each
#   fuzz.sh again TARGET FILE    one input once more, with where it fails
#   fuzz.sh keep TARGET...       takes what earlier runs found into tests/fuzz/corpus: few files of at most
#                                KEEP_BYTES=128 bytes, that reach code which nothing there reaches
#
# Stable Rust will do: RUSTC_BOOTSTRAP lets it take the flags that count coverage, and its own address sanitizer
# links. SANITIZER=none runs faster; nearly all that is fuzzed is safe code. What is found stays in the cache folder
# and makes the next run begin where this one ended.
set -euo pipefail
# shellcheck source=deploy/scripts/steps.sh
. "$(dirname "$0")/steps.sh"
cd "$REPO"

SECONDS_EACH=${SECONDS_EACH:-60}
SANITIZER=${SANITIZER:-address}
KEEP_BYTES=${KEEP_BYTES:-128}
MEMORY_MB=2048
INPUT_BYTES=16384
ONE_INPUT_SECONDS=10
FUZZ=tests/fuzz
FOUND=$CACHE/fuzz

prepare() {
  have c++ || install_packages g++
  have cargo-fuzz || {
    step "Installing cargo-fuzz"
    cargo install cargo-fuzz --locked --quiet ||
      die "cargo-fuzz cannot be installed" "mend: cargo install cargo-fuzz --locked, where the registry can be reached"
  }
  # Copies of /proc are written for every input: into memory. Removed whatever happens.
  TMPDIR=$(mktemp -d -p /dev/shm diogenes-fuzz.XXXXXX)
  trap 'rm -rf "$TMPDIR"' EXIT
  export TMPDIR
  # A folder of its own, for the flags differ; a release's stripping and linking would hide where it fails.
  CARGO_TARGET_DIR=$(target_folder)/fuzz
  export CARGO_TARGET_DIR RUSTC_BOOTSTRAP=1 ASAN_OPTIONS=detect_leaks=0
  export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=line-tables-only
}
target_folder() { cargo metadata --format-version 1 --no-deps --offline | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'; }

fuzz() { # cargo-fuzz's command, its arguments
  local command=$1
  shift
  cargo fuzz "$command" --fuzz-dir "$FUZZ" --features libfuzzer --sanitizer "$SANITIZER" "$@"
}

targets() { # the named ones, else all
  if [ $# -gt 0 ]; then printf '%s\n' "$@"; else find "$FUZZ/fuzz_targets" -name '*.rs' -printf '%f\n' | sed 's/\.rs$//' | sort; fi
}

LIMITS=("-rss_limit_mb=$MEMORY_MB" "-timeout=$ONE_INPUT_SECONDS")

run_one() { # target; true where nothing was found
  local target=$1 log=$FOUND/$1.log crash
  mkdir -p "$FOUND/$target"
  # The first folder takes what is found, the second is only read.
  if fuzz run "$target" "$FOUND/$target" "$FUZZ/corpus/$target" -- "${LIMITS[@]}" "-max_len=$INPUT_BYTES" \
    "-max_total_time=$SECONDS_EACH" -print_final_stats=1 >"$log" 2>&1; then
    printf '        %-10s %8s runs/s  %6s edges reached  %5s inputs found new\n' "$target" \
      "$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")" \
      "$(sed -n 's/^#.*DONE *cov: \([0-9]*\).*/\1/p' "$log")" \
      "$(sed -n 's/^stat::new_units_added: *//p' "$log")"
    return
  fi
  crash=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
  warn "$target fails"
  { grep -m 1 -A 3 -E 'panicked at|ERROR: |^error' "$log" || tail -n 5 "$log"; } | cut -c 1-300 >&2
  note "all of it: $log"
  if [ -n "$crash" ]; then
    note "once more: deploy/scripts/fuzz.sh again $target ${crash#"$REPO/"}"
    note "mended:    move it to $FUZZ/corpus/$target/, under a name that says what it is"
  fi
  return 1
}

case ${1:-} in
again)
  [ $# -eq 3 ] || { echo "usage: fuzz.sh again TARGET FILE" >&2; exit 2; }
  prepare
  fuzz run "$2" "$3" -- "${LIMITS[@]}"
  ;;
keep)
  shift
  [ $# -gt 0 ] || { echo "usage: fuzz.sh keep TARGET..." >&2; exit 2; }
  prepare
  for target; do
    [ -d "$FOUND/$target" ] || continue
    fuzz run "$target" "$FUZZ/corpus/$target" "$FOUND/$target" -- \
      -set_cover_merge=1 -use_counters=0 "-max_len=$KEEP_BYTES" "${LIMITS[@]}" >"$FOUND/$target.log" 2>&1 ||
      die "$target: what was found cannot be taken over" "all of it: $FOUND/$target.log"
    note "$(printf '%-10s %4d inputs, %d KiB' "$target" "$(find "$FUZZ/corpus/$target" -type f | wc -l)" "$(du -sk --apparent-size "$FUZZ/corpus/$target" | cut -f1)")"
  done
  ;;
-*) echo "usage: fuzz.sh [again TARGET FILE | keep TARGET... | TARGET...]" >&2; exit 2 ;;
*)
  prepare
  step "Building the fuzz targets (sanitizer: $SANITIZER)"
  mkdir -p "$FOUND"
  fuzz build >"$FOUND/build.log" 2>&1 || die "the fuzz targets do not build" "$(tail -n 5 "$FOUND/build.log")" "all of it: $FOUND/build.log"
  failed=()
  for target in $(targets "$@"); do
    step "$target, $SECONDS_EACH s"
    run_one "$target" || failed+=("$target")
  done
  [ ${#failed[@]} -eq 0 ] || die "found in: ${failed[*]}"
  ;;
esac
