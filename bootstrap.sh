#!/bin/sh
# Sets up all that the project needs on a bare Debian or Raspberry Pi OS: called by make, harmless to call again.
#   bootstrap.sh demo     a .venv that runs `roadside demo`
#   bootstrap.sh test     the same, and what the tests and checks need (Debian's mosquitto, strace, and for root a container)
#   bootstrap.sh vm       what the tests need, and what virtual machines are built of and run on (QEMU, a compiler)
#   bootstrap.sh vm-arm64 the same, and what those with a Pi's processor are built of and run on
#   bootstrap.sh fuzz     the same as for the demo, and atheris
# Debian packages are installed through apt-get as root or with passwordless sudo; otherwise the one command to run is named.
set -eu
cd "$(dirname "$0")"
purpose=${1:-demo}
for_tests=false for_machines=false
case $purpose in
test) for_tests=true ;;
vm | vm-arm64) for_tests=true for_machines=true ;;
esac

say() { printf 'roadside: %s\n' "$*" >&2; }

python3 -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' || {
    say "Python 3.11 or newer is needed; this is $(python3 --version 2>&1). Debian 12 and Raspberry Pi OS bookworm have it."
    exit 1
}

missing=
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
has_mosquitto() { command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ]; }
if $for_tests; then
    has_mosquitto || missing="$missing mosquitto"
    command -v strace >/dev/null || missing="$missing strace"
    command -v mcopy >/dev/null || missing="$missing mtools" # these judge the cards that are made
    [ -x /usr/sbin/fsck.vfat ] || missing="$missing dosfstools"
    [ -x /usr/sbin/mke2fs ] || missing="$missing e2fsprogs"
    if [ "$(id -u)" = 0 ]; then # only root can boot the container that the units are tested in
        command -v mmdebstrap >/dev/null || missing="$missing mmdebstrap"
        command -v systemd-nspawn >/dev/null || missing="$missing systemd-container"
    fi
    if $for_machines; then
        for needed in qemu-system-x86_64:qemu-system-x86 qemu-img:qemu-utils modprobe:kmod make:make cc:gcc \
            strip:binutils xz:xz-utils mke2fs:e2fsprogs; do
            command -v "${needed%%:*}" >/dev/null || missing="$missing ${needed#*:}"
        done
        /sbin/ldconfig -p | grep -q 'libelf\.so\.1' || missing="$missing libelf1" # of the kernel's build tools
    fi
    if [ "$purpose" = vm-arm64 ]; then
        for needed in qemu-system-aarch64:qemu-system-arm qemu-aarch64-static:qemu-user-static \
            aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu arch-test:arch-test fdtput:device-tree-compiler; do
            command -v "${needed%%:*}" >/dev/null || missing="$missing ${needed#*:}"
        done
    fi
elif [ "$(uname -m)" != x86_64 ] && python3 -c 'import sys; raise SystemExit(sys.version_info < (3, 13))'; then
    has_mosquitto || missing="$missing mosquitto" # the demo's own broker has no wheel here
fi
if [ -n "$missing" ]; then
    install="apt-get install -y --no-install-recommends$missing"
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    else
        say "these Debian packages are missing:$missing. Run this, then make again:"
        say "  sudo apt-get update && sudo $install"
        exit 1
    fi
    say "installing$missing"
    $as_root apt-get update -qq
    # shellcheck disable=SC2086 # the words are meant to be split
    $as_root env DEBIAN_FRONTEND=noninteractive $install -qq >/dev/null
fi

extras=demo
$for_tests && extras=demo,test,check
[ "$purpose" = fuzz ] && extras=demo,test,fuzz
stamp=.venv/installed-$purpose
wanted=$(cat pyproject.toml constraints.txt bootstrap.sh | sha256sum; python3 --version)
[ -e "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && exit 0
say "setting up .venv (once; about half a minute)"
python3 -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[$extras]"
printf '%s\n' "$wanted" >"$stamp"
