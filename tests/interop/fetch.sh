#!/bin/sh
# Fetches the servers of tests/interop into .interop, and installs nothing: called by `make interop`, harmless to call again.
# Debian's packages are unpacked, not configured, so that no service starts and nobody has to be root.
set -eu
cd "$(dirname "$0")/../.."
folder=$PWD/.interop
[ -e "$folder/whole" ] && exit 0

erlang="base asn1 crypto eldap ftp inets mnesia os-mon parsetools public-key runtime-tools snmp ssl syntax-tools tftp tools xmerl"
packages="nats-server rabbitmq-server libsctp1"
for part in $erlang; do packages="$packages erlang-$part"; done

mkdir -p "$folder/debian" "$folder/npm"
downloads=$(mktemp -d)
trap 'rm -rf "$downloads"' EXIT
# shellcheck disable=SC2086 # the words are meant to be split
(cd "$downloads" && apt-get -q download $packages)
for package in "$downloads"/*.deb; do dpkg -x "$package" "$folder/debian"; done

if command -v npm >/dev/null; then
    npm install --silent --no-audit --no-fund --prefix "$folder/npm" aedes@1.2.0 ws@8.23.0
else
    printf 'roadside: no npm here: aedes is left out\n' >&2
fi
touch "$folder/whole"
