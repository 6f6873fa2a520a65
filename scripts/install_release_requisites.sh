#!/usr/bin/env bash
# Installs what `make release` needs beside the Rust toolchain and Node.js: Python and taskset, which give the binary its
# load, and the program that merges what the load counted. Without the last one a release is built plainly, so that is
# asked for and not insisted on.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/debian_packages.sh

scripts/require.sh
packages=()
command -v python3 >/dev/null 2>&1 || packages+=(python3)
command -v taskset >/dev/null 2>&1 || packages+=(util-linux)
debian_packages "${packages[@]}"

scripts/build_release.py --has-profdata || debian_packages llvm-19 || echo "requisites: going on without llvm-19" >&2
