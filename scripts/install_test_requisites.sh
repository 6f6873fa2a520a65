#!/usr/bin/env bash
# Installs what the tests need beside the Rust toolchain: Debian packages by name (Chromium for the console's tests among
# them), and the locked packages of the SDK tests from PyPI (.venv, with a newer Node.js among them, and .venv-aider for a
# tool that wants other versions) and npm (tests/sdk/node_modules). Does nothing where everything is there.
# What is missing and cannot be installed is named, with the command that would.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/debian_packages.sh

say() { echo "requisites: $*"; }
die() { echo "requisites: $*" >&2; exit 1; }

# ---- Debian packages

packages=()
command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || packages+=(build-essential)
command -v python3 >/dev/null 2>&1 || packages+=(python3)
python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || packages+=(python3-venv)
if ! command -v initdb >/dev/null 2>&1 && ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
    packages+=(postgresql)
elif [ "$(id -u)" -eq 0 ] && ! getent passwd postgres >/dev/null; then
    packages+=(postgresql)
fi

# Watches what the commands that are given a secret ask of the system.
[ "$(uname -s)" != Linux ] || command -v strace >/dev/null 2>&1 || packages+=(strace)

command -v chromium >/dev/null 2>&1 || [ -n "${KEYBEARER_CHROMIUM:-}" ] || packages+=(chromium)

debian_packages "${packages[@]}"
scripts/install_nginx.sh

# ---- What has no Debian package of the needed version

scripts/require.sh
command -v node >/dev/null 2>&1 || die "missing: Node.js 20 or newer; see its own installation page"
command -v npm >/dev/null 2>&1 || die "missing: npm, which comes with Node.js 20 or newer"
node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' ||
    die "Node.js is $(node --version); the tests need 20 or newer"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "$(python3 --version) is too old; the tests need Python 3.11 or newer"

# ---- Locked packages; a stamp with the hash of the lock file says what is installed

stamp_of() { sha256sum "$1" | cut -d' ' -f1; }

python_packages() {
    local requirements=$1 into=$2 wanted
    wanted="$(stamp_of "$requirements") $(python3 -c 'import sys; print(sys.base_prefix, sys.version)' | tr '\n' ' ')"
    [ "$(cat "$into/.installed" 2>/dev/null || true)" != "$wanted" ] || return 0
    say "installing the Python packages of $requirements into $into"
    rm -rf "$into"
    python3 -m venv "$into"
    "$into/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-compile \
        --require-hashes --no-deps --only-binary :all: -r "$requirements" </dev/null
    echo "$wanted" >"$into/.installed"
}
python_packages tests/sdk/requirements.txt .venv
if python3 -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then
    python_packages tests/sdk/aider.txt .venv-aider
else
    say "aider has no version for $(python3 --version): its test is left out"
fi

lock=tests/sdk/package-lock.json
wanted="$(stamp_of "$lock") $(node --version)"
if [ "$(cat tests/sdk/node_modules/.installed 2>/dev/null || true)" != "$wanted" ]; then
    say "installing the npm packages of $lock"
    (cd tests/sdk && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error </dev/null)
    echo "$wanted" >tests/sdk/node_modules/.installed
fi
