#!/usr/bin/env bash
# oauth2-proxy.sh VERSION prints the path of that oauth2-proxy, and builds it if need be: below
# ${XDG_CACHE_HOME:-~/.cache}/opendatahub/bin, from its Go module.
set -euo pipefail

version=${1:?usage: oauth2-proxy.sh VERSION}
folder=${XDG_CACHE_HOME:-$HOME/.cache}/opendatahub/bin/oauth2-proxy-$version

if [[ ! -x $folder/oauth2-proxy ]]; then
  mkdir -p "$folder"
  # Made aside and then moved, so that nobody finds it half done.
  making=$(mktemp -d "$folder/making.XXXXXX")
  trap 'rm -rf "$making"' EXIT
  GOBIN=$making GOFLAGS='' go install "github.com/oauth2-proxy/oauth2-proxy/v7@$version" >&2
  mv "$making/oauth2-proxy" "$folder/oauth2-proxy"
fi
echo "$folder/oauth2-proxy"
