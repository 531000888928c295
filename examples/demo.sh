#!/usr/bin/env bash
# A first look at Accord: plan and apply a config repository, change it once, ask the API with curl, then read two mails: a new
# colleague's password and the notice of an issued certificate. It ends in the web console.
# Everything stays in .demo/. On a terminal the console and the API run until Ctrl-C; otherwise they stop at the end.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
demo=$top/.demo
export PATH="${VENV:-$top/.venv}/bin:$PATH" ACCORD_CACHE=$demo/cache
rm -rf "$demo" && mkdir -p "$demo" && cp -r "$top/examples/config-repo" "$demo/config" && cd "$demo"
export GIT_AUTHOR_NAME="Alice Jones" GIT_AUTHOR_EMAIL=alice@example.org GIT_COMMITTER_NAME="Alice Jones" GIT_COMMITTER_EMAIL=alice@example.org
export ACCORD_REPOSITORY=config ACCORD_DATABASE_URL=sqlite:///accord.db ACCORD_APPLIED_BY=demo no_proxy=127.0.0.1 GIT_PAGER=cat

title() { printf '\n\033[1m── %s\033[0m\n' "$*"; }
run() { printf '\033[36m$ %s\033[0m\n' "$*"; "$@"; }
delivered() { until [[ $(accord-api mail status) == *$'\n0 wait.'* ]]; do sleep 0.1; done; }

title "A config repository: who may use which certificate issuer"
git init -q -b main config
git -C config add -A
git -C config commit -q -m "Who may use what"
run git -C config log --oneline

title "Are the files valid?"
run accord validate config

title "What would applying them do?"
run accord plan

title "Apply it, in one transaction"
run accord apply --yes

title "Who may use which issuer?"
run accord access

title "Change something: the web platform may use the VPN issuer until the end of 2099"
sed -i 's/^    - tls-public$/&\n    - {issuer: vpn, until: 2099-12-31}/' config/teams/web/web-platform.yaml
run git -C config diff -U1
git -C config commit -q -a -m "Let the web platform use the VPN until the end of 2099"

title "Who gains access, and who loses it?"
run accord plan
run accord apply --yes

title "Who may use the VPN issuer now, and why may Alice?"
run accord access --issuer vpn
run accord explain alice vpn --address 10.20.1.1

title "What was applied, and is the audit log intact?"
run accord history
run accord audit verify

title "Start the API on this database. Set a password for Alice, and for Carol, an administrator, from standard input"
for name in alice carol; do
  printf '\033[36m$ accord-api user set-password %s --no-change-required\033[0m\n' $name
  printf 'a passphrase for the demo\n' | accord-api user set-password $name --no-change-required
done
printf '\033[36m$ accord-api serve --listen 127.0.0.1:0 &\033[0m\n'
: >api.log # it is read at once
accord-api serve --listen 127.0.0.1:0 2>>api.log &
server=$!
stop() { kill "$server" 2>/dev/null && wait "$server" || true; }
trap stop EXIT
until grep -o 'listening on .*' api.log; do
  kill -0 "$server" 2>/dev/null || { cat api.log >&2; exit 1; }
  sleep 0.05
done
url=$(sed -n 's/.*listening on //p' api.log)/api/v1

command -v curl >/dev/null || curl() { python -c '
import sys, urllib.error, urllib.request
_, _, url, *more = sys.argv
headers = dict(value.split(": ", 1) for option, value in zip(more[::2], more[1::2]) if option == "-H")
body = next((value.encode() for option, value in zip(more[::2], more[1::2]) if option == "-d"), None)
try:
    answer = urllib.request.urlopen(urllib.request.Request(url, body, headers))
except urllib.error.HTTPError as error:
    answer = error
print(answer.read().decode(), end="")' "$@"; }  # only what this script needs of it
call() { printf '\033[36m$ %s\033[0m\n' "$1"; answer=$(eval "$1"); printf '%s\n' "$answer"; }
secret() { printf '%s' "$answer" | sed -n 's/.*"token":"\([^"]*\)".*/\1/p'; }
json="-H 'Content-Type: application/json'"

title "Log in"
call "curl -s $url/sessions $json -d '{\"username\": \"alice\", \"password\": \"a passphrase for the demo\"}'"
session="-H 'Authorization: Bearer $(secret)'"

title "Which issuers may I use?"
call "curl -s $url/me/access $session"

title "Mint a token for a pipeline: 90 days. Its secret is shown only this once"
call "curl -s $url/me/tokens $session $json -d '{\"name\": \"pipeline\", \"validFor\": \"90d\"}'"
token="-H 'Authorization: Bearer $(secret)'"

title "Use it: who am I?"
call "curl -s $url/me $token"

title "May it use the VPN issuer, from here, now? Yes, through web-platform"
call "curl -s $url/decisions $token $json -d '{\"issuer\": \"vpn\"}'"

title "May Alice use the issuer for signing documents? No, and this is why"
call "curl -s $url/decisions $session $json -d '{\"issuer\": \"document-signing\"}'"

title "Add a colleague with one commit. The API mails a password; without a mail server, into a folder"
cat >config/people/heidi.yaml <<END
apiVersion: accord/v1
kind: User
metadata: {name: heidi}
spec: {email: heidi@example.org, fullName: Heidi Lang}
END
git -C config add -A
git -C config commit -q -m "Heidi joins"
run accord apply --yes
delivered
run accord-api mail status
mail=$(grep -l '^To: .*heidi@' mail/new/*)
printf '\033[36m$ cat %s\033[0m\n' "$mail"
sed '/text\/html/,$d' "$mail"

title "Heidi logs in with it. She must change it now; Accord kept only its hash"
call "curl -s $url/sessions $json -d '{\"username\": \"heidi\", \"password\": \"$(grep -m 1 -oE '([a-z2-9]{5}-){5}[a-z2-9]{5}' "$mail")\"}'"

title "The pipeline registers a certificate: Alice is mailed now, and again before it expires"
pem=$(<"$top/examples/certificate.pem")
printf '{"pem": "%s", "issuer": "tls-public", "team": "web-platform"}\n' "${pem//$'\n'/\\n}" >certificate.json
call "curl -s $url/certificates $token $json -d \"\$(cat certificate.json)\""
delivered
run grep -hE '^(To|Subject): ' "$(grep -l '^To: .*alice@' mail/new/*)"

printf '\nThe mails are in .demo/mail, a maildir that any mail program reads: mutt -f .demo/mail\n'
printf 'Everything is in .demo/: the repository in config, the database in accord.db. Try: accord --help, accord-api --help\n'
title "The web console, at ${url%/api/v1}/"
printf 'an administrator: carol, password: a passphrase for the demo\na person:         alice, password: a passphrase for the demo\n'
if [ -t 0 ] && [ -t 1 ]; then
  trap : INT
  printf 'It runs until Ctrl-C; the API is described at %s/docs.\n' "${url%/api/v1}"
  wait "$server" || true
fi
