#!/usr/bin/env bash
# go-program.sh PACKAGE VERSION prints the path of the program that is that Go package at that version, and builds it if need be: below
# ${XDG_CACHE_HOME:-~/.cache}/opendatahub/bin.
set -euo pipefail

package=${1:?usage: go-program.sh PACKAGE VERSION} version=${2:?usage: go-program.sh PACKAGE VERSION}
program=$(sed 's|/v[0-9]*$||; s|.*/||' <<<"$package")
folder=${XDG_CACHE_HOME:-$HOME/.cache}/opendatahub/bin/$program-$version

if [[ ! -x $folder/$program ]]; then
  mkdir -p "$folder"
  # Made aside and then moved, so that nobody finds it half done.
  making=$(mktemp -d "$folder/making.XXXXXX")
  trap 'rm -rf "$making"' EXIT
  # As for images, so that what is compiled is compiled once; and after suites that have bounds of time.
  GOBIN=$making GOFLAGS='-trimpath -gcflags=all=-dwarf=false' CGO_ENABLED=0 nice go install -ldflags='-s -w' "$package@$version" >&2
  mv "$making/$program" "$folder/$program"
fi
echo "$folder/$program"
