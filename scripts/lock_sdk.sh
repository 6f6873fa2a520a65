#!/usr/bin/env bash
# Writes the lock files of the SDK tests from tests/sdk/requirements.in, aider.in and package.json.
# Neither names a registry: whoever installs uses their own.
set -euo pipefail
cd "$(dirname "$0")/../tests/sdk"

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check pip-tools==7.6.2
for list in requirements aider; do
    "$tools/bin/pip-compile" --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe --no-header \
        --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -o "$tools/$list.txt" "$list.in"
    {
        echo "# Written by \`make lock-sdk\` from $list.in: exact versions with the hashes of their files."
        cat "$tools/$list.txt"
    } >"$list.txt"
done

rm -f package-lock.json
npm install --package-lock-only --no-audit --no-fund --loglevel=error
