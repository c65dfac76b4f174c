#!/usr/bin/env bash
# Builds the image with buildah. IMAGE names it, BASE_IMAGE its base; BOOTSTRAP=1 makes the base from Debian's packages
# where no registry is in reach. CA_BUNDLE is the authority of a proxy that opens TLS.
set -euo pipefail
cd "$(dirname "$0")/.."

image=${IMAGE:-localhost/cloakroom:latest}
arguments=(--format docker --layers --timestamp 0 --file docker/Dockerfile --tag "$image")
arguments+=(--build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)")

if [ -n "${BOOTSTRAP:-}" ]; then
    BASE_IMAGE=${BASE_IMAGE:-localhost/cloakroom-base:bookworm}
    arguments+=(--pull-never --network host)
    if ! buildah inspect --type image "$BASE_IMAGE" >/dev/null 2>&1; then
        folder=$(mktemp -d)
        trap 'rm -rf "$folder"' EXIT
        mmdebstrap --quiet --variant=minbase --include=ca-certificates,python3,python3-venv bookworm "$folder/base.tar"
        podman import --quiet "$folder/base.tar" "$BASE_IMAGE"
    fi
fi
[ -z "${BASE_IMAGE:-}" ] || arguments+=(--build-arg "BASE_IMAGE=$BASE_IMAGE")
[ -z "${CA_BUNDLE:-}" ] || arguments+=(--secret "id=ca,src=$CA_BUNDLE")

buildah bud "${arguments[@]}" .
