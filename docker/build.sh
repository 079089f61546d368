#!/bin/sh
# Builds the images lstfill-python, lstfill-python-ml and lstfill-mlflow. Settings come from the environment:
#   LSTFILL_IMAGE_REGISTRY  put before the names, ends with a slash; empty by default
#   LSTFILL_IMAGE_TAG       a release or a commit; by default the version in pyproject.toml
#   BASE_IMAGE              a Debian with Python 3.11 to 3.13; by default that of the Dockerfile
#   CA_FILE                 CA bundle of a network that signs TLS anew; stays out of the images
#   BUILD_NETWORK           network of the build, host where the daemon has no bridge
#   DOCKER                  the program; it needs BuildKit
set -eu
cd "$(dirname "$0")/.."

docker=${DOCKER:-docker}
registry=${LSTFILL_IMAGE_REGISTRY:-}
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
tag=${LSTFILL_IMAGE_TAG:-$version}
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)

case $registry in
  '' | */) ;;
  *) echo "LSTFILL_IMAGE_REGISTRY=$registry does not end with a slash: write $registry/" >&2; exit 1 ;;
esac
if [ "$tag" = latest ]; then
  echo "the tag latest says nothing of what is in an image, and Kubeflow caches by tag: name a release or a commit" >&2
  exit 1
fi
if [ -n "$(git status --porcelain 2>/dev/null)" ]; then
  revision=$revision-modified
fi

set -- --build-arg "VERSION=$version" --build-arg "REVISION=$revision"
if [ -n "${BASE_IMAGE:-}" ]; then
  set -- "$@" --build-arg "BASE_IMAGE=$BASE_IMAGE"
fi
if [ -n "${BUILD_NETWORK:-}" ]; then
  set -- "$@" --network "$BUILD_NETWORK"
fi
if [ -n "${CA_FILE:-}" ]; then
  set -- "$@" --secret "id=ca,src=$CA_FILE"
fi

for pair in light:lstfill-python ml:lstfill-python-ml mlflow:lstfill-mlflow; do
  image=$registry${pair#*:}:$tag
  DOCKER_BUILDKIT=1 "$docker" build --file docker/Dockerfile --target "${pair%%:*}" --tag "$image" "$@" .
  "$docker" image inspect --format "$image {{.Size}}" "$image" | awk '{printf "%s %.0f MB\n", $1, $2 / 1e6}'
done
