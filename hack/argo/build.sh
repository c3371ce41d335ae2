#!/usr/bin/env bash
# build.sh builds the programs of Argo Workflows at the version that go.mod names, if need be, and prints the folder that they are in:
# below ${XDG_CACHE_HOME:-~/.cache}/opendatahub/bin. They are the released ones but for the web pages, which need Node.js to build:
# instead of them there is an empty page.
set -euo pipefail
cd "$(dirname "$0")"

module=github.com/argoproj/argo-workflows/v4
read -r version source < <(go mod download "$module" && go list -m -f '{{.Version}} {{.Dir}}' "$module")
folder=${XDG_CACHE_HOME:-$HOME/.cache}/opendatahub/bin/argo-$version-$(go env GOVERSION)

if [[ ! -x $folder/argo || ! -x $folder/workflow-controller ]]; then
  mkdir -p "$folder"
  # Made aside and then moved, so that nobody finds it half done.
  making=$(mktemp -d "$folder/making.XXXXXX")
  trap 'rm -rf "$making"' EXIT
  mkdir -p "$making/source/ui/dist/app"
  tar -C "$source" --exclude=./docs --exclude=./sdks --exclude=./ui/src -c . | tar -C "$making/source" -x --no-same-permissions
  chmod -R u+w "$making/source"
  touch "$making/source/ui/dist/app/index.html"
  # As for the images of a node, which are mostly built then.
  GOFLAGS='-trimpath -gcflags=all=-dwarf=false' CGO_ENABLED=0 nice go build -C "$making/source" -ldflags='-s -w' -o "$making/" ./cmd/argo ./cmd/workflow-controller >&2
  mv "$making/argo" "$making/workflow-controller" "$folder/"
fi
echo "$folder"
