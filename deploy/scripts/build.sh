#!/usr/bin/env bash
# Builds what users get, into dist/: the supervisor for this machine, the agent static for any container.
#
#   build.sh         dist/diogenes, dist/diogenes-agent
#   build.sh test    dist/test/testkit-listener, for containers that have nothing else
set -euo pipefail
# shellcheck source=deploy/scripts/steps.sh
. "$(dirname "$0")/steps.sh"
cd "$REPO"

TARGET=$(deploy/scripts/toolchain.sh target)
# Only for this very target, so that build scripts and procedural macros stay as they are.
flags=
# musl is linked statically by itself; glibc only when told.
case $TARGET in *-gnu) flags="-C target-feature=+crt-static" ;; esac
# A panic names its file of a dependency from the package on: where this machine keeps them would be 4 KB of the agent,
# and would make it another one on every machine. What is not here yet is fetched first, for the folder to be known.
cargo fetch --quiet --target "$TARGET" || note "not all packages could be fetched; the build says which it needs"
for sources in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
  # These flags are parted at spaces.
  case $sources in *' '*) ;; *) flags+=" --remap-path-prefix=$sources/=" ;; esac
done
export "CARGO_TARGET_$(tr a-z- A-Z_ <<<"$TARGET")_RUSTFLAGS=$flags"
OUT=$(cargo metadata --format-version 1 --no-deps --offline 2>/dev/null | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
OUT=${OUT:-$REPO/target}

# A program that runs right now cannot be written to; a new file in its place leaves it alone.
place() { # built program, name in dist
  mkdir -p "$(dirname "dist/$2")"
  cmp -s "$1" "dist/$2" || { cp "$1" "dist/$2.new" && mv "dist/$2.new" "dist/$2"; }
  note "dist/$2  $(du -k "dist/$2" | cut -f1) KiB"
}

case ${1:-} in
test)
  step "Building the tests' static programs"
  cargo build --package diogenes-testkit --bin testkit-listener --profile agent --target "$TARGET"
  place "$OUT/$TARGET/agent/testkit-listener" test/testkit-listener
  ;;
'')
  step "Building the agent ($TARGET)"
  cargo build --package diogenes-agent --profile agent --target "$TARGET"
  place "$OUT/$TARGET/agent/diogenes-agent" diogenes-agent
  step "Building the supervisor"
  cargo build --package diogenes --release
  place "$OUT/release/diogenes" diogenes
  ;;
*) echo "usage: build.sh [test]" >&2; exit 2 ;;
esac
