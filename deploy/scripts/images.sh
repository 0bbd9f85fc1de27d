#!/usr/bin/env bash
# The images of the demo and of the tests, in the Engine: diogenes-demo/{redis,web,postgres}, diogenes-test/base.
#
# From the official images where a registry answers, else from Debian's packages. DIOGENES_IMAGES=registry or
# =debian decides it by hand. An image whose recipe has not changed is left as it is, so a second run is quick.
set -euo pipefail
# shellcheck source=deploy/scripts/steps.sh
. "$(dirname "$0")/steps.sh"

# Where images come from, found out once and only when one is missing. A tiny image decides it: a registry that
# does not hand it out within four seconds would not hand out the large ones in useful time either.
source_of_images() {
  if [ -z "${DIOGENES_IMAGES:-}" ]; then
    if timeout 4 docker pull -q hello-world >/dev/null 2>&1; then DIOGENES_IMAGES=registry; else
      DIOGENES_IMAGES=debian
      note "no registry answers: images are made from Debian packages"
    fi
  fi
}

# The hash of all that goes into an image: its folder, and the base it stands on.
recipe() { (cd "$1" && find . -type f | sort | xargs sha256sum; echo "$BASE") | sha256sum | cut -c1-16; }
built_recipe() { docker image inspect "$1" --format '{{index .Config.Labels "io.diogenes.recipe"}}' 2>/dev/null || true; }

demo_image() { # name, official image to stand on or nothing
  local image=diogenes-demo/$1 folder=$REPO/deploy/demo/$1 official=${2:-} from=$BASE hash
  hash=$(recipe "$folder")
  [ "$(built_recipe "$image")" != "$hash" ] || return 0
  source_of_images
  if [ "$DIOGENES_IMAGES" = registry ] && [ -n "$official" ]; then
    step "Pulling $official"
    if docker image inspect "$official" >/dev/null 2>&1 || timeout 300 docker pull -q "$official" >/dev/null; then
      from=$official
    else
      warn "$official could not be pulled: Debian's package is taken instead"
    fi
  fi
  [ "$from" != "$BASE" ] || base
  step "Building $image on $from"
  engine_build "$image" "$folder" --build-arg "BASE=$from" --label "io.diogenes.recipe=$hash" --network none
}

base() {
  docker image inspect "$BASE" >/dev/null 2>&1 && return
  source_of_images
  "$REPO/deploy/scripts/base.sh" "$DIOGENES_IMAGES" || {
    [ "$DIOGENES_IMAGES" = registry ] || return 1
    warn "the registry's Debian image did not do: making it from Debian packages"
    "$REPO/deploy/scripts/base.sh" debian
  }
}

demo_image redis redis:7-bookworm
demo_image postgres postgres:15-bookworm
demo_image web
base
docker tag "$BASE" diogenes-test/base
note "images: diogenes-demo/redis, diogenes-demo/web, diogenes-demo/postgres, diogenes-test/base"
