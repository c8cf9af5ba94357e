#!/bin/sh
# Writes what is missing of the secrets that compose.yaml mounts. client-secret is yours to replace: the secret at your issuer.
# The folder is closed to other users of this machine; its files are readable for the users of the containers.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
chmod 700 secrets
random() { od -An -tx1 -N24 /dev/urandom | tr -d ' \n'; }
for name in client-keys client-secret database-password grafana-password; do
  [ -e "secrets/$name" ] || random > "secrets/$name"
  chmod 644 "secrets/$name"
done
echo "the API key of your applications: $(cat secrets/client-keys)"
