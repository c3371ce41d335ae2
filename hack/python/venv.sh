#!/usr/bin/env bash
# venv.sh REQUIREMENTS prints the folder of a Python virtual environment that has exactly these packages, and makes it
# first if need be: below ${XDG_CACHE_HOME:-~/.cache}/opendatahub/python, one per content of REQUIREMENTS and Python.
# PYTHON names the interpreter to use; otherwise the first of the usual ones that is 3.10 or later and can make
# environments. Packages come from the index that pip is set up for.
set -euo pipefail

requirements=${1:?usage: venv.sh REQUIREMENTS}

python=
for candidate in ${PYTHON:-python3.12 python3.13 python3.11 python3.10 python3}; do
  if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [[ -z $python ]]; then
  echo "venv.sh: no Python 3.10 or later with the venv module was found${PYTHON:+ as $PYTHON};" \
    "install one (Debian: python3-venv) or name it in PYTHON" >&2
  exit 1
fi

key=$( (cat "$requirements"; "$python" -c 'import sys; print(sys.version, sys.base_prefix)') | cksum | tr ' ' -)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/opendatahub/python
folder=$cache/$(basename "$requirements" .txt)-$key

if [[ ! -x $folder/bin/python ]]; then
  mkdir -p "$cache"
  # Made aside and then moved, so that nobody finds it half done; only what needs no fixed place in it is used.
  making=$(mktemp -d "$cache/making.XXXXXX")
  trap 'rm -rf "$making"' EXIT
  "$python" -m venv "$making/venv" >&2
  "$making/venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements" >&2
  [[ -x $folder/bin/python ]] || mv "$making/venv" "$folder"
fi
echo "$folder"
