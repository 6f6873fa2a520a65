#!/usr/bin/env bash
# Installs nginx, which the tests put in front of a server and the benchmark takes as its yardstick. Does nothing where it is
# there. The service that comes with it is not started.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/debian_packages.sh

PATH="$PATH:/usr/sbin"
! command -v nginx >/dev/null 2>&1 || exit 0
# Debian starts a service when it installs it, unless this file says no.
policy=/usr/sbin/policy-rc.d
if [ "$(id -u)" -eq 0 ] && [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
debian_packages nginx-light
