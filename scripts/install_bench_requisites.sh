#!/usr/bin/env bash
# Installs what `make bench` needs beside what `make release` does: nginx as the yardstick. Does nothing where it is there.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install_release_requisites.sh
scripts/install_nginx.sh
