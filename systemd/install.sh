#!/bin/sh
# Puts Roadside's units and settings in place; to be run again after each change, harmless to repeat.
#   install.sh            on the gateway, as root
#   install.sh --root R   below R: an image that is being made
set -eu
cd "$(dirname "$0")"
root=
[ "${1:-}" = --root ] && root=${2:?install.sh: --root needs a folder}

put() { install -D -m 0644 "$1" "$root$2"; }

put roadside.service /etc/systemd/system/roadside.service
put roadside-trial.service /etc/systemd/system/roadside-trial.service
put roadside-trial.timer /etc/systemd/system/roadside-trial.timer
put roadside-enrol.service /etc/systemd/system/roadside-enrol.service
put roadside-enrol.timer /etc/systemd/system/roadside-enrol.timer
install -D -m 0755 roadside-switch "$root/opt/roadside/roadside-switch"
install -d "$root/usr/local/bin"
ln -sfn /opt/roadside/current/bin/roadside "$root/usr/local/bin/roadside"
put roadside.sysusers /usr/lib/sysusers.d/roadside.conf
put roadside.tmpfiles /usr/lib/tmpfiles.d/roadside.conf
put 60-roadside.rules /usr/lib/udev/rules.d/60-roadside.rules
put journald.conf /etc/systemd/journald.conf.d/roadside.conf
put watchdog.conf /etc/systemd/system.conf.d/roadside-watchdog.conf
put timesyncd.conf /etc/systemd/timesyncd.conf.d/roadside.conf
[ ! -d "$root/etc/chrony/conf.d" ] || put chrony.conf /etc/chrony/conf.d/roadside.conf

version=$(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')
[ -z "$root" ] || version=$(chroot "$root" systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')
if [ "$version" -ge 254 ]; then
    put roadside-254.conf /etc/systemd/system/roadside.service.d/254.conf
else
    rm -f "$root/etc/systemd/system/roadside.service.d/254.conf"
fi

systemd-sysusers ${root:+--root "$root"} roadside.conf
systemd-tmpfiles ${root:+--root "$root"} --create roadside.conf
systemctl ${root:+--root "$root"} enable roadside.service roadside-trial.timer
if [ -z "$root" ]; then
    systemctl daemon-reload
    udevadm control --reload 2>/dev/null || true
fi
