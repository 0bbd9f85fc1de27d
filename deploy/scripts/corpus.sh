#!/usr/bin/env bash
# The corpus of real services: installs what only it needs, makes its images one after the other, and runs it.
#
#   corpus.sh          CORPUS=redis,nginx runs some, otherwise all
#                      NMAP=no leaves the comparison with nmap out, which takes the longest
#   corpus.sh images   makes the images only
set -euo pipefail
# shellcheck source=deploy/scripts/steps.sh
. "$(dirname "$0")/steps.sh"
cd "$REPO"

have nmap || install_packages nmap
step "Making the corpus' images"
cargo build --quiet --package diogenes-corpus
target=$(cargo metadata --format-version 1 --no-deps --offline | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
"$target/debug/diogenes-corpus" images
[ "${1:-}" = images ] || exec "$target/debug/diogenes-corpus"
