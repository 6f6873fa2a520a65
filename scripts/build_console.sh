#!/usr/bin/env bash
# Builds the console into console/dist, from where cargo takes it into the binary. Installs its locked packages first.
# Does nothing of what is done already: stamps say what was installed and from which sources was built. `--install`
# installs and builds nothing.
set -euo pipefail
cd "$(dirname "$0")/../console"

die() { echo "console: $*" >&2; exit 1; }

command -v node >/dev/null 2>&1 || die "missing: Node.js 20.19 or newer; see its own installation page"
command -v npm >/dev/null 2>&1 || die "missing: npm, which comes with Node.js"
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
    die "Node.js is $(node --version); the console needs 20.19 or newer"

lock="$(sha256sum package-lock.json | cut -d' ' -f1) $(node --version)"
if [ "$(cat node_modules/.installed 2>/dev/null || true)" != "$lock" ]; then
    echo "console: installing the npm packages of console/package-lock.json"
    npm ci --no-audit --no-fund --ignore-scripts --loglevel=error </dev/null
    echo "$lock" >node_modules/.installed
fi

[ "${1:-}" != --install ] || exit 0

# `LC_ALL` for one order everywhere. Tests are no part of what is built.
sources="$lock $(find src public index.html package.json tsconfig.json vite.config.ts -type f ! -name '*.test.ts' -print0 |
    LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)"
if [ "$(cat dist/.built 2>/dev/null || true)" != "$sources" ]; then
    echo "console: building"
    npm run --silent build </dev/null
    echo "$sources" >dist/.built
fi
