#!/usr/bin/env bash
# build.sh builds the Operator Lifecycle Manager at the version that go.mod names, and opm, which serves catalogues, if need be, and prints the
# folder that they are in: below ${XDG_CACHE_HOME:-~/.cache}/opendatahub/bin. They are the released ones, but they serve on the loopback
# interface only, and their metrics on any free port, so that several run on one machine. OLM's CustomResourceDefinitions are beside them.
set -euo pipefail
cd "$(dirname "$0")"

module=github.com/operator-framework/operator-lifecycle-manager
read -r version source < <(go mod download "$module" && go list -m -f '{{.Version}} {{.Dir}}' "$module")
folder=${XDG_CACHE_HOME:-$HOME/.cache}/opendatahub/bin/olm-$version-$(go env GOVERSION)

if [[ ! -d $folder ]]; then
  mkdir -p "$(dirname "$folder")"
  # Made aside and then moved, so that nobody finds it half done.
  making=$(mktemp -d "$folder.making.XXXXXX")
  trap 'rm -rf "$making"' EXIT
  mkdir "$making/programs"
  # copied is a module's sources, of which one file serves on the loopback interface.
  copied() { # FOLDER SOURCES FILE FROM TO
    mkdir "$making/$1"
    tar -C "$2" --exclude=./doc --exclude=./test -c . | tar -C "$making/$1" -x --no-same-permissions
    chmod -R u+w "$making/$1"
    grep -qF -- "$4" "$making/$1/$3" || { echo "build.sh: $2/$3 has no $4" >&2; exit 1; }
    sed -i "s|$4|$5|" "$making/$1/$3"
  }
  copied olm "$source" pkg/lib/server/server.go 'return ":8080"' 'return "127.0.0.1:0"'
  export GOFLAGS='-trimpath -gcflags=all=-dwarf=false -mod=mod' CGO_ENABLED=0
  registry=github.com/operator-framework/operator-registry
  go mod download -C "$making/olm" "$registry"
  copied registry "$(go list -C "$making/olm" -m -f '{{.Dir}}' "$registry")" cmd/opm/serve/serve.go '"tcp", ":"+' '"tcp", "127.0.0.1:"+'
  go mod edit -replace "$registry=../registry" "$making/olm/go.mod"
  # After suites that have bounds of time.
  nice -n 19 go build -C "$making/olm" -ldflags='-s -w' -tags=json1,containers_image_openpgp -o "$making/programs/" ./cmd/olm ./cmd/catalog "$registry/cmd/opm" >&2
  mv "$making/olm/deploy/chart/crds" "$making/programs/crds"
  mv --no-target-directory "$making/programs" "$folder" || [[ -d $folder ]] # somebody else was faster
fi
echo "$folder"
