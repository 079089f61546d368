#!/bin/sh
# Installs into the image's environment, each file checked against the hashes of the lock file. All arguments go to uv.
set -eu

# A CA bundle of the network that builds, if it needs one; a secret is in no layer.
if [ -s /run/secrets/ca ]; then
  export SSL_CERT_FILE=/run/secrets/ca
fi
# Not in XDG_CACHE_HOME, which the image sets.
export UV_CACHE_DIR=/root/.cache/uv
exec /mnt/uv pip install --quiet --python /opt/venv/bin/python --link-mode copy --compile-bytecode \
  --constraints /mnt/requirements.lock "$@"
