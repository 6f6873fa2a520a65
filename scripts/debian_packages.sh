# For other scripts to read in: `debian_packages NAME...` installs Debian packages, or says which are missing and how to get
# them, and fails. Nothing happens where none is named.

debian_packages() {
    [ $# -gt 0 ] || return 0
    local install="apt-get install -y --no-install-recommends $*"
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "requisites: missing: $* (Debian's names); install them with your package manager" >&2
        return 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        echo "requisites: missing: $*; as root run: $install" >&2
        return 1
    fi
    echo "requisites: installing Debian packages: $*"
    apt-get update -q </dev/null && DEBIAN_FRONTEND=noninteractive $install </dev/null
}
