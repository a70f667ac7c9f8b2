#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fails when server/amqp/gen differs from what scripts/gen_amqp.py makes of proto/amqp/methods.txt.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
python3 "$root/scripts/gen_amqp.py" "$fresh"
if ! diff -ru "$root/server/amqp/gen" "$fresh"; then
  echo "server/amqp/gen is stale: run scripts/gen_amqp.py and commit the result" >&2
  exit 1
fi
