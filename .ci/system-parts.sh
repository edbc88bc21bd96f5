#!/usr/bin/env bash
# Installs the system packages that some tests need: as root on Debian only.
# Elsewhere, or without a package mirror, those tests skip and give their reason.
set -euo pipefail

missing=()
command -v gcc >/dev/null || missing+=(gcc libc6-dev)
command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
command -v chromedriver >/dev/null || missing+=(chromium-driver)
((${#missing[@]})) || exit 0

later="not installed: ${missing[*]}; the tests that need them will skip"
if [[ $(id -u) -ne 0 ]] || ! grep -qx 'ID=debian' /etc/os-release 2>/dev/null; then
    echo "$later (installing them takes root on Debian)" >&2
    exit 0
fi
echo "installing ${missing[*]} with apt-get: once" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update >/dev/null || true # a stale list is often good enough
log=$(mktemp)
apt-get -qq -y install --no-install-recommends "${missing[@]}" >"$log" 2>&1 ||
    { tail -n 3 "$log" && echo "$later"; } >&2
rm -f "$log"
