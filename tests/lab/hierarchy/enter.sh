#!/bin/sh
# Runs a command inside the lab (called through nsenter), from the directory of its files.
# usage: enter.sh DIR RESOLV PROGRAM [ARGUMENT...]
# RESOLV names a file etc/resolv.conf.RESOLV; anything but `default` gets a mount namespace of its own.
dir=$1 resolv=$2
shift 2
cd "$dir/files" || exit 125
[ "$resolv" = default ] && exec "$@"
exec unshare --mount --propagation private sh -c \
	'mount --bind "$0" /etc/resolv.conf || exit 125; exec "$@"' "$dir/etc/resolv.conf.$resolv" "$@"
