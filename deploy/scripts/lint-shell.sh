#!/usr/bin/env bash
# Checks every shell script of the project, where shellcheck is installed.
set -euo pipefail
# shellcheck source=deploy/scripts/steps.sh
. "$(dirname "$0")/steps.sh"
cd "$REPO"

have shellcheck || { note "shellcheck is not installed: shell scripts are not checked"; exit; }
mapfile -t scripts < <(grep -rlE '^#!.*\b(ba)?sh$' deploy .ci tests --exclude='*.toml' --exclude='*.rs')
shellcheck --external-sources "${scripts[@]}" deploy/scripts/steps.sh
note "${#scripts[@]} shell scripts are clean"
