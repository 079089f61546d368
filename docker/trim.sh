#!/bin/sh
# Takes out of the image's environment what no step and no server reads. Arguments: packages whose libraries carry
# tables of symbols, 205 MB in TensorFlow's largest alone. Libraries that were patched after linking (*.libs) are not
# touched: strip may break them.
set -eu

cd /opt/venv/lib/python3*/site-packages
find . -type d -name tests -prune -exec rm -r {} +
rm -rf tensorflow/include
# botocore describes 400 services; 30 MB are of others than S3 and those that hand out credentials for it.
find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts ! -name 'sso*' ! -name signin -exec rm -r {} +
for package in "$@"; do
  find "$package" -name '*.so*' -type f -exec env LD_LIBRARY_PATH=/mnt/lib /mnt/strip --strip-unneeded {} +
done
