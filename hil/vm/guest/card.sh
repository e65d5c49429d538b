# Mounts the machine's small card, if it has one, where the agent keeps its journal. Between the card and its file
# system stands a device-mapper table, in whose place the host puts one that fails or lies; with a disk for it, each
# write is logged.
set -e
folder=/var/lib/roadside/journal
options=rw
[ ! -f /etc/hil-card ] || read -r options </etc/hil-card
for each in /sys/block/vd*; do
	read -r serial <"$each/serial" || true
	case $serial in
	card) card=/dev/${each##*/} && read -r size <"$each/size" ;;
	writes) writes=/dev/${each##*/} ;;
	esac
done
[ -n "$card" ] || exit 0

modprobe dm-mod
if [ ! -e /dev/mapper/card ]; then
	target="linear $card 0"
	[ -z "$writes" ] || target="log-writes $card $writes"
	dmsetup create card --noudevrules --noudevsync --table "0 $size $target"
	dmsetup mknodes card
fi
# As on a Raspberry Pi, whose kernel is told fsck.repair=yes.
e2fsck -y /dev/mapper/card || [ $? -lt 4 ]
install -d -o roadside -g roadside -m 0750 "${folder%/*}" "$folder"
mount -t ext4 -o "noatime,$options" /dev/mapper/card "$folder"
[ "$(stat -c %U "$folder")" = roadside ] || install -d -o roadside -g roadside -m 0750 "$folder"
