#!/usr/bin/env bash
# What the build needs: a C toolchain to link with, and Rust's standard library for static musl programs.
#
#   toolchain.sh            makes both present, in the active Rust toolchain
#   toolchain.sh target     prints the target the agent is to be built for
#
# musl comes from rustup where its server answers. Where it does not, Debian has all the parts: rust-src of
# exactly the compiler's version, musl and LLVM's unwinder; the compiler builds its own standard library from
# them in about a minute, laid out as rustup would. The result is kept in the cache folder.
set -euo pipefail
# shellcheck source=deploy/scripts/steps.sh
. "$(dirname "$0")/steps.sh"

{ have cargo && have rustc; } || die "Rust is not installed" "mend: install it as https://rustup.rs says, then run this again"
ARCH=$(uname -m)
TARGET=$ARCH-unknown-linux-musl
LIBRARIES=$(rustc --print sysroot)/lib/rustlib
RELEASE=$(rustc -vV | sed -n 's/^release: //p')
LIBUNWIND=libunwind-19-dev
KEPT=$CACHE/musl-$RELEASE-$ARCH

present() { compgen -G "$LIBRARIES/$TARGET/lib/libstd-*.rlib" >/dev/null; }

from_rustup() {
  have rustup || return 1
  step "Adding Rust's $TARGET through rustup"
  RUSTUP_MAX_RETRIES=0 timeout 90 rustup target add "$TARGET" >"$CACHE/rustup.log" 2>&1 && present
}

# apt with sources and state of its own: those of the machine stay as they are.
private_apt() { # command, arguments
  local program=$1
  shift
  "$program" -o "Dir::Etc::sourcelist=$work/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::Etc::preferencesparts=/dev/null -o "Dir::State::lists=$work/apt/lists" -o "Dir::Cache=$work/apt/cache" \
    -o Acquire::Languages=none -o APT::Sandbox::User="$(id -un)" -q "$@"
}
use_suites() {
  local suite
  for suite in "$@"; do
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive $suite main"
  done >"$work/apt/sources.list"
  private_apt apt-get update >"$CACHE/musl.log" 2>&1
}
rust_src_version() { private_apt apt-cache madison rust-src 2>/dev/null | awk -v r="$RELEASE+" -F ' *[|] *' 'index($2, r) == 1 {print $2; exit}'; }
unpack() { # package[=version], folder
  mkdir -p "$2"
  (cd "$work" && private_apt apt-get download "$1" >>"$CACHE/musl.log" 2>&1) && dpkg -x "$work/${1%%=*}_"*.deb "$2"
}

from_debian() {
  local archive version musl gcc_parts out
  if [ ! -d "$KEPT" ]; then
    have apt-get && archive=$(debian_archive) || return 1
    step "Building Rust's $TARGET from Debian's rust-src (about a minute)"
    work=$(mktemp -d "$CACHE/musl.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/out/self-contained"
    version=
    for suites in "trixie trixie-backports" "bookworm-backports forky sid"; do
      # shellcheck disable=SC2086 # a list
      use_suites $suites && version=$(rust_src_version) && [ -n "$version" ] && break
    done
    [ -n "$version" ] || { note "Debian has no rust-src $RELEASE"; return 1; }
    note "rust-src $version"
    unpack "rust-src=$version" "$work/src" && unpack musl-dev "$work/musl" && unpack "$LIBUNWIND" "$work/unwind" || return 1
    build_std || return 1
    out=$work/out
    cp "$work/target/$TARGET/dist/deps/"*.rlib "$out/"
    musl=$work/musl/usr/lib/$ARCH-linux-musl
    cp "$musl"/{crt1,Scrt1,rcrt1,crti,crtn}.o "$musl/libc.a" "$out/self-contained/"
    gcc_parts=$(dirname "$(gcc -print-libgcc-file-name)")
    cp "$gcc_parts"/{crtbegin,crtbeginS,crtend,crtendS}.o "$out/self-contained/"
    unwinder "$out/self-contained/libunwind.a" || return 1
    rm -rf "$KEPT"
    mv "$out" "$KEPT"
  fi
  step "Putting Rust's $TARGET into $LIBRARIES"
  mkdir -p "$LIBRARIES/$TARGET"
  rm -rf "${LIBRARIES:?}/$TARGET/lib"
  cp -r "$KEPT" "$LIBRARIES/$TARGET/lib"
}

# LLVM's unwinder, the one rustup ships too. Debian compiles it with glibc's fortified printf, which musl lacks;
# all it prints are its own debugging lines.
unwinder() { # where to
  cp "$work"/unwind/usr/lib/llvm-*/lib/libunwind.a "$1"
  cat >"$work/fortified.c" <<'C'
#include <stdarg.h>
int vfprintf(void *, const char *, va_list);
int vsnprintf(char *, unsigned long, const char *, va_list);
int __vfprintf_chk(void *f, int flag, const char *format, va_list args) { return vfprintf(f, format, args); }
int __vsnprintf_chk(char *s, unsigned long n, int flag, unsigned long size, const char *format, va_list args) {
  return vsnprintf(s, n, format, args);
}
C
  gcc -O2 -fPIC -fno-builtin -fno-stack-protector -U_FORTIFY_SOURCE -w -c "$work/fortified.c" -o "$work/fortified.o" &&
    ar r "$1" "$work/fortified.o"
}

# The standard library with the flags of Rust's own releases: unstable inside, stable outside.
build_std() {
  local library
  library=$(echo "$work"/src/usr/src/rustc-*/library)
  RUSTC_BOOTSTRAP=1 __CARGO_DEFAULT_LIB_METADATA=stablestd \
    RUSTFLAGS="-Zforce-unstable-if-unmarked -Cembed-bitcode=yes --remap-path-prefix=$library=/rustc/library" \
    cargo build --locked --quiet --manifest-path "$library/sysroot/Cargo.toml" --profile dist \
    --features "backtrace panic-unwind" --target "$TARGET" --target-dir "$work/target" >>"$CACHE/musl.log" 2>&1
}

case ${1:-} in
target) if present; then echo "$TARGET"; else echo "$ARCH-unknown-linux-gnu"; fi; exit ;;
'') ;;
*) echo "usage: toolchain.sh [target]" >&2; exit 2 ;;
esac

{ have gcc && have ar; } || install_packages gcc libc6-dev
if ! present && ! from_rustup && ! from_debian; then
  warn "Rust's $TARGET can be had neither from rustup ($CACHE/rustup.log) nor from Debian ($CACHE/musl.log)."
  warn "The agent is linked statically with glibc instead: larger than 1 MB, and fatter in memory."
fi
note "$(rustc -V), the agent's target: $("$0" target)"
