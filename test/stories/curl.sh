#!/usr/bin/env bash
# The story with curl, run by sdk.check.ts. Prints one line per operation: its name, the status, and the result.
set -euo pipefail
base=$1

# Writes the response's body to `body`, its head to `head` and its status to $status.
ask() { status=$(curl --no-progress-meter -D head -o "${out:-body}" -w '%{http_code}' "$@"); }
report() { echo "$1 $status${2:+ $2}"; }
of() { grep -o "\"$1\":[^,}]*" "${2:-body}" | sed -E 's/^"[^"]*":"?//; s/"$//'; }
header() { sed -nE "s/^$1: (.*)\r$/\1/Ip" head; }

ask -H 'Content-Type: application/json' -d '{"username":"story","password":"correct horse battery"}' "$base/api/users"
report register
ask -u 'story:correct horse battery' "$base/api/token"
report sign-in "$(of duration)"
token=$(of token)
auth=(--oauth2-bearer "$token")

ask "${auth[@]}" -F 'file=@large.bin;type=application/x-story' "$base/"
report upload "$(of type) $(of sha256)"
ask "${auth[@]}" -T large.bin -H 'Content-Type: application/x-story' "$base/uploads/%C3%BCn%C3%AFcode%20plan.bin"
report put "$(of type) $(of sha256)"

ask "${auth[@]}" "$base/api/files?order=newest"
report list "$(paste -d : <(of name) <(of size) | paste -s -d ,)"

out=part.bin ask "${auth[@]}" -r 1000000-1999999 "$base/uploads/large.bin"
report range "$(header content-range)"
out=copy.bin ask "${auth[@]}" "$base/uploads/large.bin"
report download "$(header repr-digest)"
etag=$(header etag)

ask "${auth[@]}" -X PATCH -H 'Content-Type: application/json' -d '{"name":"renamed.bin"}' "$base/api/files/large.bin"
report rename "$(of sha256)"
ask "${auth[@]}" -T other.bin -H "If-Match: $etag" "$base/uploads/renamed.bin"
report replace "$(of sha256)"
ask "${auth[@]}" -T other.bin -H "If-Match: $etag" "$base/uploads/renamed.bin"
report replace-stale "$(of code)"

ask "${auth[@]}" -X DELETE "$base/api/token"
report revoke
ask "${auth[@]}" "$base/api/resource"
report refused "$(of code)"
