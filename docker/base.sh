#!/bin/sh
# Makes a base image from Debian's packages alone, where no registry can be reached. Needs root and debootstrap.
#   docker/base.sh [NAME:TAG]        then: make images BASE_IMAGE=NAME:TAG
set -eu

image=${1:-lstfill-base:bookworm}
docker=${DOCKER:-docker}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 1' HUP INT TERM

debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv bookworm "$root/system" "$mirror" >"$root/log" 2>&1 || {
  tail -n 20 "$root/log" >&2
  exit 1
}

cd "$root/system"
# What a container never reads: packages and their lists, manuals, translations. Licences stay.
rm -rf var/cache/apt/* var/cache/debconf/*-old var/lib/apt/lists/* var/log/* usr/share/man usr/share/info \
  usr/share/locale usr/share/i18n usr/share/lintian usr/share/zoneinfo/right usr/share/zoneinfo/posix
find usr/share/doc -type f ! -name copyright -delete
find usr/share/doc -type l -delete
find usr/share/doc -type d -empty -delete
# Left by the package manager when it ran here, not by this image: a host's names and resolver.
rm -f etc/hostname etc/resolv.conf

tar --numeric-owner -cf "$root/system.tar" .
"$docker" import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
  --change 'ENV LANG=C.UTF-8' --change 'CMD ["python3"]' "$root/system.tar" "$image" >/dev/null
echo "$image"
