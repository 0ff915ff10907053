#!/bin/sh
# Tells what this machine lacks to build AgentOS, all of it at once, and what to do about it.
# Prints nothing and ends with 0 when everything is there. Usage: requirements/check.sh PYTHON
set -u
python=$1
missing=0

lacks() {
    missing=1
    printf 'missing: %s\n         %s\n' "$1" "$2" >&2
}

have() { command -v "$1" >/dev/null 2>&1; }

if ! have "$python"; then
    lacks "Python 3.11 or newer" "install it (Debian: apt-get install python3 python3-venv), or say which: make PYTHON=/path/to/python3"
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    found=$("$python" -c 'import platform; print(platform.python_version())')
    lacks "Python 3.11 or newer (\`$python\` is $found)" "install a newer one, or say which: make PYTHON=/path/to/python3"
elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    lacks "Python's venv module" "Debian and Ubuntu ship it apart: apt-get install python3-venv"
fi

if ! have cargo; then
    lacks "cargo (a Rust toolchain, 1.89 or newer)" "install one with rustup: https://rustup.rs"
else
    rust=$(rustc --version 2>/dev/null | cut -d' ' -f2)
    case $rust in
        0.* | 1.[0-9].* | 1.[1-7][0-9].* | 1.8[0-8].*)
            lacks "Rust 1.89 or newer (this is $rust)" "rustup update" ;;
    esac
fi
have cc || lacks "a C compiler (cc)" "Debian: apt-get install build-essential"
have git || lacks "git" "Debian: apt-get install git"

exit $missing
