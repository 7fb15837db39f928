#!/usr/bin/env bash
# The story with curl, run by sdk.proof.ts. Prints one line per operation: its name, the status, and the result.
set -euo pipefail
base=$1

# Writes the response's body to `body`, its head to `head` and its status to $status.
ask() { status=$(curl --no-progress-meter -D head -o "${out:-body}" -w '%{http_code}' "$@"); }
tell() { echo "$1 $status${2:+ $2}"; }
of() { grep -o "\"$1\":[^,}]*" "${2:-body}" | sed -E 's/^"[^"]*":"?//; s/"$//'; }
header() { sed -nE "s/^$1: (.*)\r$/\1/Ip" head; }

ask -H 'Content-Type: application/json' -d '{"username":"story","password":"correct horse battery"}' "$base/api/users"
tell register
ask -u 'story:correct horse battery' "$base/api/token"
tell sign-in "$(of duration)"
token=$(of token)
auth=(--oauth2-bearer "$token")

ask "${auth[@]}" -F 'file=@large.bin;type=application/x-story' "$base/"
tell upload "$(of type) $(of sha256)"
ask "${auth[@]}" -T large.bin -H 'Content-Type: application/x-story' "$base/uploads/%C3%BCn%C3%AFcode%20plan.bin"
tell put "$(of type) $(of sha256)"

ask "${auth[@]}" "$base/api/files?order=newest"
tell list "$(paste -d : <(of name) <(of size) | paste -s -d ,)"

out=part.bin ask "${auth[@]}" -r 1000000-1999999 "$base/uploads/large.bin"
tell range "$(header content-range)"
out=copy.bin ask "${auth[@]}" "$base/uploads/large.bin"
tell download "$(header repr-digest)"
etag=$(header etag)

ask "${auth[@]}" -X PATCH -H 'Content-Type: application/json' -d '{"name":"renamed.bin"}' "$base/api/files/large.bin"
tell rename "$(of sha256)"
ask "${auth[@]}" -T other.bin -H "If-Match: $etag" "$base/uploads/renamed.bin"
tell replace "$(of sha256)"
ask "${auth[@]}" -T other.bin -H "If-Match: $etag" "$base/uploads/renamed.bin"
tell replace-stale "$(of code)"

ask "${auth[@]}" -X DELETE "$base/api/token"
tell revoke
ask "${auth[@]}" "$base/api/resource"
tell refused "$(of code)"
