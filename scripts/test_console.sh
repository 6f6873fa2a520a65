#!/usr/bin/env bash
# Tests the console: `unit` for what needs no browser (formatting, types, generated types, vitest), `browser` for
# Playwright in Debian's Chromium against the built binary. More arguments go to the test runner.
set -euo pipefail
cd "$(dirname "$0")/.."

part=$1
shift
scripts/build_console.sh
case "$part" in
    unit)
        cd console
        npx --no-install biome check .
        npx --no-install tsc --noEmit
        npx --no-install openapi-typescript ../docs/openapi.json --output src/api/schema.ts --check
        exec npx --no-install vitest run --reporter=verbose "$@"
        ;;
    browser)
        cargo build --locked -p keybearer
        cargo build --locked -p keybearer --example console
        cd console
        exec npx --no-install playwright test "$@"
        ;;
    *)
        echo "test_console: $part is neither unit nor browser" >&2
        exit 2
        ;;
esac
