#!/usr/bin/env bash
# Install the Debian packages that arkfm is built with; the names are the same in Debian 12 and 13.
#
#   scripts/setup.sh              what `make build`, `make test` and `make demo` need
#   scripts/setup.sh --with-dev   also clang, sanitizer run times and the checkers of .ci/run
#   scripts/setup.sh --check      only report what is there; exit 1 when something is missing
#
# With everything in place it changes nothing and uses no network. Otherwise it installs as root, or through
# sudo where that asks for no password, or prints the command to run and exits 1.
set -euo pipefail

build=(build-essential cmake ninja-build pkg-config)
libraries=(libdnnl-dev libjpeg-dev libspng-dev libtiff-dev libgdcm-dev libdeflate-dev liblmdb-dev libyaml-dev
    libjansson-dev)
programs=(gnuplot-nox) # draws the curves of report.html
tests=(libcmocka-dev jq)
dev=(clang clang-format clang-tidy libclang-rt-dev libomp-dev lcov shellcheck ccache)

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
}

only_check=no
wanted=("${build[@]}" "${libraries[@]}" "${programs[@]}" "${tests[@]}")
for arg in "$@"; do
    case $arg in
    --with-dev) wanted+=("${dev[@]}") ;;
    --check) only_check=yes ;;
    -h | --help) usage && exit 0 ;;
    *) echo "setup: unknown option '$arg' (known: --with-dev --check)" >&2 && exit 2 ;;
    esac
done

if ! command -v dpkg-query > /dev/null; then
    echo "setup: no dpkg here; these packages, or what they are called on this system, are needed:" >&2
    echo "  ${wanted[*]}" >&2
    echo "setup: going on; cmake names what it does not find" >&2
    exit 0
fi

# A package counts as present under its own name, or when any other gnuplot offers the program.
present() {
    [[ $1 == gnuplot-nox ]] && command -v gnuplot > /dev/null && return
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2> /dev/null) == installed ]]
}

missing=()
for p in "${wanted[@]}"; do
    if ! present "$p"; then
        missing+=("$p")
    elif [[ $only_check == yes ]]; then
        printf '  %-18s %s\n' "$p" "$(dpkg-query -W -f '${Version}' "$p" 2> /dev/null || echo 'another package')"
    fi
done
if ((${#missing[@]} == 0)); then
    echo "setup: all ${#wanted[@]} packages are installed"
    exit 0
fi

echo "setup: missing: ${missing[*]}" >&2
[[ $only_check == no ]] || exit 1
if ((EUID == 0)); then
    as_root=()
elif sudo -n true 2> /dev/null; then
    as_root=(sudo -n)
else
    echo "setup: not root, and sudo is absent or asks for a password; run this once:" >&2
    echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
fi

apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@"
}
# Package lists may be absent (fresh containers) or out of date: try with them, then refresh and try again.
apt install -y --no-install-recommends "${missing[@]}" > /dev/null 2>&1 || {
    apt update
    apt install -y --no-install-recommends "${missing[@]}"
}
echo "setup: installed ${missing[*]}"
