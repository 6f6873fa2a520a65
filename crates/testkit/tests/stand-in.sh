#!/bin/sh
# Stands in for the binary: says what it must, leaves $LEAK in its data, ends on SIGTERM.
test "$1" = serve || { echo "ran $*"; exit 4; }
test -z "$FAIL" || { echo "wrong root key" >&2; exit 3; }
mkdir -p "$KEYBEARER_DATA_DIR" && printf '%s' "$LEAK" > "$KEYBEARER_DATA_DIR/keybearer.db-wal"
printf 'listening on http://127.0.'; sleep 0.1; echo '0.1:9'
echo "set-up link: http://127.0.0.1:1/setup#token=kbsetup_$$"
trap 'exit 0' TERM
while :; do sleep 0.05; done
