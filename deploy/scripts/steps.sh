# shellcheck shell=bash
# What every script here shares: how it speaks, how it asks Debian for a package, and where it keeps things.
# Sourced, never run.

# What is costly to make and may be thrown away at any time lives here.
CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/diogenes
REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export CACHE REPO
mkdir -p "$CACHE"

if [ -t 1 ]; then BOLD=$'\e[1m' RED=$'\e[31m' PLAIN=$'\e[0m'; else BOLD='' RED='' PLAIN=''; fi

# A step that is about to be taken; the seconds since the script began stand before it.
step() { printf '%s[%4ds] %s%s\n' "$BOLD" "$SECONDS" "$*" "$PLAIN"; }
# A fact that belongs to the step.
note() { printf '        %s\n' "$*"; }
warn() { printf '%s        warning: %s%s\n' "$RED" "$*" "$PLAIN" >&2; }
# Ends the script: what is wrong first, then line by line what mends it.
die() {
  printf '%s[%4ds] failed: %s%s\n' "$RED" "$SECONDS" "$1" "$PLAIN" >&2
  shift
  [ $# -eq 0 ] || printf '        %s\n' "$@" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# The command as root: plain, or through sudo where that asks for no password.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif sudo -n true 2>/dev/null; then sudo "$@"; else return 126; fi
}

# Installs Debian packages, after saying so.
install_packages() {
  have apt-get || die "this machine has no apt-get" "install by hand: $*"
  as_root true || die "installing $* needs root" "run: sudo apt-get install $*"
  step "Installing from Debian: $*"
  # The lists of a fresh machine may be missing or stale: they are fetched again only if the first try fails.
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >"$CACHE/apt.log" 2>&1 ||
    { as_root apt-get update -q >>"$CACHE/apt.log" 2>&1 &&
      as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >>"$CACHE/apt.log" 2>&1; } ||
    die "apt-get install $* failed" "$(tail -n 3 "$CACHE/apt.log")" "all of it: $CACHE/apt.log"
}

# The address of the Debian archive that this machine's own apt sources name.
debian_archive() {
  local archive
  archive=$(apt_debian_uri)
  if [ -z "$archive" ]; then
    as_root apt-get update -q >/dev/null 2>&1 || true
    archive=$(apt_debian_uri)
  fi
  [ -n "$archive" ] || return 1
  echo "$archive"
}
apt_debian_uri() {
  # shellcheck disable=SC2016 # $(REPO_URI) is apt's own notation
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 2>/dev/null | head -n 1
}

# The image that all others can stand on. Raise the number whenever base.sh or deploy/demo/base changes.
export BASE=diogenes-base:bookworm-1

# Builds an image of a folder: engine_build IMAGE FOLDER OPTION... With the classic builder, which every engine
# of the last ten years has, and which needs no plug-in of the client.
engine_build() {
  local image=$1 folder=$2
  shift 2
  DOCKER_BUILDKIT=0 docker build -q -t "$image" "$@" "$folder" >"$CACHE/build.log" 2>&1 ||
    die "building $image failed" "$(tail -n 3 "$CACHE/build.log")" "all of it: $CACHE/build.log"
}
