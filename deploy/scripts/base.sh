#!/usr/bin/env bash
# The file system under the demo's and the tests' images: Debian 12 with Redis, nginx, PostgreSQL, Python's web
# servers and Node, all Debian's own packages. One to two minutes and 330 MB, made once: it stays in the Engine.
#
#   base.sh registry   installs the packages into the registry's Debian image
#   base.sh debian     makes the whole with debootstrap, from the archive that this machine's apt sources name;
#                      a tarball of it stays in the cache folder
#
# Prints nothing but what it does; the image's name is in steps.sh.
set -euo pipefail
# shellcheck source=deploy/scripts/steps.sh
. "$(dirname "$0")/steps.sh"

PACKAGES=(redis-server nginx-light postgresql-15 python3-fastapi python3-uvicorn uvicorn gunicorn nodejs)

from_registry() {
  step "Building $BASE from the registry's Debian image and ${PACKAGES[*]}"
  engine_build "$BASE" "$REPO/deploy/demo/base" --build-arg "PACKAGES=${PACKAGES[*]}"
}

from_debian() {
  local tarball=$CACHE/${BASE//:/-}.tar.gz
  [ -f "$tarball" ] || make_root "$tarball"
  step "Importing $BASE into the engine"
  docker import "$tarball" "$BASE" >/dev/null
}

make_root() {
  local archive root tarball=$1
  as_root true || die "making a root file system needs root" "run this once as root"
  { have debootstrap && [ -e /usr/share/keyrings/debian-archive-keyring.gpg ]; } ||
    install_packages debootstrap debian-archive-keyring
  archive=$(debian_archive) ||
    die "no registry answers, and no Debian archive stands in this machine's apt sources" \
      "mend: make a registry reachable for the engine; docker pull hello-world shows whether it is"
  step "Making a Debian root file system with ${PACKAGES[*]}"
  work=$(mktemp -d "$CACHE/base.XXXXXX")
  # One file system only: whatever a failed debootstrap left mounted in there is not ours to remove.
  trap 'as_root rm -rf --one-file-system "$work"' EXIT
  root=$work/root
  as_root debootstrap --variant=minbase --include="$(IFS=,; echo "${PACKAGES[*]}")" bookworm "$root" "$archive" \
    >"$CACHE/debootstrap.log" 2>&1 ||
    die "debootstrap failed" "$(tail -n 3 "$CACHE/debootstrap.log")" "all of it: $CACHE/debootstrap.log"
  as_root chroot "$root" sh <"$REPO/deploy/demo/base/slim.sh"
  # Of the machine it was made on nothing stays.
  as_root rm -rf "$root"/dev/* "$root"/etc/resolv.conf "$root"/etc/hostname
  step "Packing it into $tarball"
  as_root tar -C "$root" --numeric-owner -c . | gzip -1 >"$work/packed"
  mv "$work/packed" "$tarball"
}

docker image inspect "$BASE" >/dev/null 2>&1 && exit
case ${1:-} in
registry) from_registry ;;
debian) from_debian ;;
*) echo "usage: base.sh registry|debian" >&2; exit 2 ;;
esac
