#!/bin/sh
# Takes out of a freshly installed base what no container needs. Runs inside it, as root.
set -eu
# The package starts a cluster of its own; the image's entrypoint makes one at the first start instead.
rm -rf /var/lib/postgresql/15/main /etc/postgresql/15
# PostgreSQL runs without its just-in-time compiler, which weighs more than all the rest together.
rm -rf /usr/lib/postgresql/15/lib/bitcode /usr/lib/postgresql/15/lib/llvmjit* /usr/lib/*/libLLVM-* /usr/lib/*/libz3.so*
rm -rf /usr/share/doc/* /usr/share/man/* /usr/share/locale/* /usr/share/info/*
rm -rf /var/cache/apt/* /var/lib/apt/lists/* /var/log/*.log /var/log/apt/*
