#!/usr/bin/env bash
# Puts what make build has built where this machine looks for it, and takes exactly that away again.
#
#   install.sh           installs, or brings an older installation up to date
#   install.sh remove    removes what was installed; configuration and state stay
#
#   PREFIX    /usr/local, or another folder of programs; systemd looks below /usr/local and /usr
#   DESTDIR   where all of it goes in truth: for packages
#   DIST      where the programs are: dist/ unless told otherwise
#
# What was installed is listed in PREFIX/share/diogenes/installed. The configuration is not: it is a person's from then on.
set -euo pipefail
# shellcheck source=deploy/scripts/steps.sh
. "$(dirname "$0")/steps.sh"

PREFIX=${PREFIX:-/usr/local}
DESTDIR=${DESTDIR:-}
DIST=${DIST:-$REPO/dist}
SHARE=$PREFIX/share
LIST=$SHARE/diogenes/installed
CONFIG=/etc/diogenes/diogenes.toml
UNIT=$PREFIX/lib/systemd/system/diogenes.service

# It is written into the unit, where blanks and such would mean something.
[[ $PREFIX =~ ^(/[A-Za-z0-9._+-]+)+$ ]] ||
  die "PREFIX=$PREFIX is no absolute path of plain characters" "give one, such as /usr/local"

# Whether it is this running machine that is changed.
here() { [ -z "$DESTDIR" ]; }

# put MODE FILE PATH: one file, replaced as a whole, so that a program that runs right now is left alone.
put() {
  install -D -m "$1" "$2" "$DESTDIR$3.new"
  mv "$DESTDIR$3.new" "$DESTDIR$3"
  echo "$3" >>"$work/installed"
}

# The same of what a command prints.
put_output() {
  local path=$1
  shift
  "$@" >"$work/output"
  put 644 "$work/output" "$path"
}

# Removes what the list names, and the folders of our own that are empty then.
take_away() {
  local path
  while IFS= read -r path; do rm -f "$DESTDIR$path"; done
  rmdir --ignore-fail-on-non-empty "$DESTDIR$SHARE/diogenes" 2>/dev/null || true
}

unit() { sed "s|/usr/local/bin/|$PREFIX/bin/|" "$REPO/deploy/systemd/diogenes.service"; }

install_all() {
  local name page
  for name in diogenes diogenes-agent; do
    [ -x "$DIST/$name" ] || die "there is no $DIST/$name" "run: make build"
  done
  step "Installing into $DESTDIR$PREFIX"
  # The agent is looked for beside the supervisor.
  for name in diogenes diogenes-agent; do put 755 "$DIST/$name" "$PREFIX/bin/$name"; done
  put_output "$UNIT" unit
  put_output "$SHARE/bash-completion/completions/diogenes" "$DIST/diogenes" completion bash
  put_output "$SHARE/zsh/site-functions/_diogenes" "$DIST/diogenes" completion zsh
  put_output "$SHARE/fish/vendor_completions.d/diogenes.fish" "$DIST/diogenes" completion fish
  mkdir "$work/man"
  "$DIST/diogenes" man --out "$work/man"
  for page in "$work"/man/*.1; do put 644 "$page" "$SHARE/man/man1/${page##*/}"; done
  if [ -e "$DESTDIR$CONFIG" ]; then
    note "$CONFIG is there already, and stays as it is"
  else
    install -D -m 644 "$REPO/deploy/diogenes.toml" "$DESTDIR$CONFIG"
  fi
  echo "$LIST" >>"$work/installed"
  # What an older version had and this one has not.
  if [ -e "$DESTDIR$LIST" ]; then
    grep -Fvx -f "$work/installed" "$DESTDIR$LIST" >"$work/outdated" || true
    take_away <"$work/outdated"
  fi
  install -D -m 644 "$work/installed" "$DESTDIR$LIST"
  note "$(wc -l <"$work/installed") files; $CONFIG is where to configure it"
  here || return 0
  note "start it with: systemctl daemon-reload && systemctl enable --now diogenes"
}

remove_all() {
  [ -e "$DESTDIR$LIST" ] || die "nothing is installed in $DESTDIR$PREFIX" "give the PREFIX and DESTDIR it was installed with"
  if here && have systemctl && systemctl --quiet is-active diogenes 2>/dev/null; then
    die "the service diogenes is running" "run: systemctl disable --now diogenes"
  fi
  step "Removing from $DESTDIR$PREFIX"
  cp "$DESTDIR$LIST" "$work/installed"
  take_away <"$work/installed"
  note "$(wc -l <"$work/installed") files; the configuration in /etc/diogenes and the state in /var/lib/diogenes stay"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case ${1:-} in
'') install_all ;;
remove) remove_all ;;
*) echo "usage: install.sh [remove]" >&2; exit 2 ;;
esac
