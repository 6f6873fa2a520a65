#!/usr/bin/env bash
# Installs what `make bench` needs beside the Rust toolchain and Python: nginx as the yardstick, taskset to pin.
# Does nothing where both are there. The service that comes with nginx is not started.
set -euo pipefail
cd "$(dirname "$0")/.."

die() { echo "requisites: $*" >&2; exit 1; }

scripts/require.sh
command -v python3 >/dev/null 2>&1 || die "missing: python3"
PATH="$PATH:/usr/sbin"
packages=()
command -v nginx >/dev/null 2>&1 || packages+=(nginx-light)
command -v taskset >/dev/null 2>&1 || packages+=(util-linux)
[ ${#packages[@]} -gt 0 ] || exit 0

install="apt-get install -y --no-install-recommends ${packages[*]}"
command -v apt-get >/dev/null 2>&1 || die "missing: ${packages[*]} (Debian's names); install them with your package manager"
[ "$(id -u)" -eq 0 ] || die "missing: ${packages[*]}; as root run: $install"
echo "requisites: installing Debian packages: ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
# Debian starts a service when it installs it, unless this file says no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
apt-get update -q </dev/null
$install </dev/null
