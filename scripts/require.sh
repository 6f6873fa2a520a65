#!/usr/bin/env bash
# Checks what building needs; names each missing program and how to get it. Installs nothing.
set -euo pipefail

missing=0

need() { # need WHAT HOW PROGRAM...: any one of the programs will do.
    local what=$1 how=$2 program
    shift 2
    for program in "$@"; do
        if command -v "$program" >/dev/null 2>&1; then
            return
        fi
    done
    echo "missing: $what. $how" >&2
    missing=1
}

need "cargo (Rust toolchain)" "Install it with rustup; the version is in rust-toolchain.toml." cargo
need "a C compiler" "Debian: apt-get install -y build-essential" cc gcc

exit "$missing"
