#!/bin/sh
# Installs sealift: downloads (or copies) one file, checks its SHA-256 against the signed list, puts it in place.
# Works with curl or wget, from a release page, a mirror or a folder (air gap). Nothing is left behind on failure.
set -eu

# Filled in by scripts/release.ts: the page the releases stand on and the Ed25519 key (SPKI, base64) that signs them.
RELEASE_URL=''
RELEASE_KEY=''

usage() {
  cat <<'TEXT'
Install sealift.

Usage: install.sh [--from URL|DIR] [--version V] [--prefix DIR] [--key FILE] [--force] [--quiet]

  --from URL|DIR  release page, mirror, or a folder with the files of one release
  --version V     version to install (default: the latest of the page)
  --prefix DIR    installs DIR/bin/sealift (default: /usr/local for root, else ~/.local)
  --key FILE      public key (PEM) of the publisher, instead of the built-in one
  --force         replace a different version that is already there
  --quiet         say nothing but errors

Examples:
  sh install.sh --prefix "$HOME/.local"
  sh install.sh --from /media/usb/sealift --version 0.1.0
TEXT
}

say() { [ -n "$quiet" ] || printf 'sealift install: %s\n' "$*" >&2; }
fail() {
  printf 'sealift install: error: %s\n' "$1" >&2
  [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

from=$RELEASE_URL version='' prefix='' key='' force='' quiet=''
while [ $# -gt 0 ]; do
  case $1 in
    --from | --version | --prefix | --key)
      [ $# -ge 2 ] && [ -n "$2" ] || fail "$1 needs a value" "Run: sh install.sh --help"
      case $1 in
        --from) from=$2 ;; --version) version=${2#v} ;; --prefix) prefix=$2 ;; --key) key=$2 ;;
      esac
      shift 2
      ;;
    --force) force=1; shift ;;
    --quiet) quiet=1; shift ;;
    --help | -h) usage; exit 0 ;;
    *) fail "unknown option $1" "Run: sh install.sh --help" ;;
  esac
done
[ -n "$from" ] || fail "no release page is known" "Name one, or a folder, with --from"
if [ -z "$prefix" ]; then
  if [ "$(id -u)" = 0 ]; then prefix=/usr/local; else prefix=${HOME:?set HOME or use --prefix}/.local; fi
fi

case $(uname -s) in
  Linux) os=linux ;;
  Darwin) os=darwin ;;
  *) fail "no build for $(uname -s)" "On Windows use install.ps1" ;;
esac
case $(uname -m) in
  x86_64 | amd64) arch=x64 ;;
  aarch64 | arm64) arch=arm64 ;;
  *) fail "no build for $(uname -m)" ;;
esac
libc=''
if [ "$os" = linux ] && ! ls /lib64/ld-linux-*.so.* /lib/ld-linux-*.so.* /lib/*/ld-linux-*.so.* >/dev/null 2>&1; then libc=-musl; fi
system=$os-$arch$libc

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

# fetch NAME: brings a file of the release into $work
fetch() {
  case $from in
    http://* | https://* )
      if have curl; then curl -fsSL --retry 3 -o "$work/${1##*/}" "${from%/}/$1" || fail "cannot download ${from%/}/$1"
      elif have wget; then wget -q -O "$work/${1##*/}" "${from%/}/$1" || fail "cannot download ${from%/}/$1"
      else fail "neither curl nor wget was found" "Install one, or copy the release to a folder and use --from DIR"; fi
      ;;
    *) [ -f "$from/$1" ] || fail "$from/$1 does not exist"
      cp "$from/$1" "$work/${1##*/}" ;;
  esac
}

# A page holds one folder per version and the name of the latest; a plain folder may be one release.
folder=''
case $from in
  http://* | https://*) paged=1 ;;
  *) if [ -f "$from/SHA256SUMS" ]; then paged=''; else paged=1; fi ;;
esac
if [ -n "$paged" ]; then
  if [ -z "$version" ]; then
    fetch latest
    version=$(tr -d ' \r\n' <"$work/latest")
  fi
  case $version in '' | *[!0-9A-Za-z.+-]*) fail "\"$version\" is not a version" ;; esac
  folder=v$version/
fi
fetch "${folder}SHA256SUMS"
fetch "${folder}SHA256SUMS.sig"

if [ -n "$key" ]; then
  [ -f "$key" ] || fail "$key does not exist"
  cp "$key" "$work/release.pub"
elif [ -n "$RELEASE_KEY" ]; then
  printf -- '-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n' "$RELEASE_KEY" >"$work/release.pub"
else fail "no public key is known" "Name the publisher's key with --key"; fi
have openssl || fail "openssl is needed to check the signature" "Install openssl 3 or later"
openssl pkeyutl -verify -pubin -inkey "$work/release.pub" -rawin -in "$work/SHA256SUMS" -sigfile "$work/SHA256SUMS.sig" >/dev/null 2>&1 ||
  fail "the signature of SHA256SUMS does not match the publisher's key" "Do not use these files (openssl before 3.0 cannot check it either)"

# The version is part of the signed file name, so an old release cannot be served as a new one.
if [ -n "$version" ]; then wanted=$(printf %s "$version" | sed 's/[.+]/\\&/g'); else wanted='[0-9][0-9A-Za-z.+-]*'; fi
line=$(grep -E "^[0-9a-f]{64} [ *]sealift-$wanted-$system\$" "$work/SHA256SUMS" | head -n 1)
[ -n "$line" ] || fail "the release has no sealift${version:+ $version} for $system"
file=${line#* [ *]}
say "getting $file"
fetch "$folder$file"
if have sha256sum; then actual=$(sha256sum "$work/$file"); else actual=$(shasum -a 256 "$work/$file"); fi
[ "${actual%% *}" = "${line%% *}" ] || fail "$file does not match its SHA-256" "The download is damaged or was changed; try again"

target=$prefix/bin/sealift
if [ -e "$target" ] && [ -z "$force" ] && ! cmp -s "$target" "$work/$file"; then
  fail "$target exists and is another version" "Use --force to replace it"
fi
mkdir -p "$prefix/bin" || fail "cannot create $prefix/bin" "Choose another place with --prefix"
chmod 755 "$work/$file"
"$work/$file" --version >/dev/null 2>&1 || fail "$file does not run on this system" "On Alpine: apk add libstdc++"
# Same folder, then rename: nobody ever sees half a program.
cp "$work/$file" "$target.new.$$" && chmod 755 "$target.new.$$" && mv -f "$target.new.$$" "$target" || {
  rm -f "$target.new.$$"
  fail "cannot write $target" "Choose another place with --prefix"
}
say "installed $("$target" --version) as $target"
case :$PATH: in *":$prefix/bin:"*) ;; *) say "$prefix/bin is not on PATH" ;; esac
