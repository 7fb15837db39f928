#!/bin/sh
# `npm run image -- FOLDER` writes magicstore_2.0.0.tar, the image of the Dockerfile on packages of Debian, for `podman load`
# or `docker load`. Needs root, podman and mmdebstrap, and no daemon. Further arguments are those of podman build.
set -eu

target=$(realpath "${1:-.}")
[ $# -eq 0 ] || shift
cd "$(dirname "$0")/../.."
version=$(node --print 'require("./package.json").version')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

engine() { podman --root "$work/store" --runroot "$work/run" --storage-driver vfs "$@"; }

# An image `$1` of the packages `$2`, without pages that nobody reads in a container. npm compiles with Debian's headers.
base() {
  mmdebstrap --quiet --variant=minbase --include="$2" --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='chroot "$1" useradd --uid 1000 --create-home node' \
    --customize-hook='echo nodedir=/usr > "$1/root/.npmrc"' trixie "$work/$1.tar"
  engine import --quiet "$work/$1.tar" "$1" >/dev/null
  rm "$work/$1.tar"
}

base debian-build nodejs,npm,libnode-dev,g++,make,python3,ca-certificates
base debian-node nodejs
# Docker's format, because the other one has no health check.
engine build --layers=false --isolation chroot --network host --format docker --build-arg BUILD=localhost/debian-build \
  --build-arg BASE=localhost/debian-node --file src/deployment/Dockerfile --tag "magicstore:$version" --tag magicstore "$@" . >&2
engine save --quiet --format docker-archive --output "$target/magicstore_$version.tar" "magicstore:$version" magicstore
echo "$target/magicstore_$version.tar"
