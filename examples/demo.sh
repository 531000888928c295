#!/usr/bin/env bash
# A first look at Accord: a config repository, a plan, an apply; one change, reviewed and applied; then the API, asked with curl;
# and mail: a password for a new colleague, and a certificate that was issued.
# Leaves everything in .demo/. On a terminal the API goes on until Ctrl-C; elsewhere it stops at the end.
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

title "Are the files right?"
run accord validate config

title "What would applying them do?"
run accord plan

title "Do it: whole, in one transaction"
run accord apply --yes

title "Who may use what"
run accord access

title "One change in one commit: the web platform may use the VPN's issuer until the end of 2099"
sed -i 's/^    - tls-public$/&\n    - {issuer: vpn, until: 2099-12-31}/' config/teams/web/web-platform.yaml
run git -C config diff -U1
git -C config commit -q -a -m "Let the web platform use the VPN until the end of 2099"

title "Who gains and who loses?"
run accord plan
run accord apply --yes

title "Who may use what now, and why may alice?"
run accord access --issuer vpn
run accord explain alice vpn --address 10.20.1.1

title "What was applied, and is the audit log whole?"
run accord history
run accord audit verify

title "The API answers from this database. Alice gets a password, from standard input"
printf '\033[36m$ accord-api user set-password alice --no-change-required\033[0m\n'
printf 'a passphrase for the demo\n' | accord-api user set-password alice --no-change-required
printf '\033[36m$ accord-api serve --listen 127.0.0.1:0 &\033[0m\n'
: >api.log # it is looked into at once
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
print(answer.read().decode(), end="")' "$@"; }  # as much of it as is used here
call() { printf '\033[36m$ %s\033[0m\n' "$1"; answer=$(eval "$1"); printf '%s\n' "$answer"; }
secret() { printf '%s' "$answer" | sed -n 's/.*"token":"\([^"]*\)".*/\1/p'; }
json="-H 'Content-Type: application/json'"

title "Log in"
call "curl -s $url/sessions $json -d '{\"username\": \"alice\", \"password\": \"a passphrase for the demo\"}'"
session="-H 'Authorization: Bearer $(secret)'"

title "What may I use?"
call "curl -s $url/me/access $session"

title "Mint a token for a pipeline: for 90 days, and for two issuers only. Its secret is shown this once"
call "curl -s $url/me/tokens $session $json -d '{\"name\": \"pipeline\", \"validFor\": \"90d\", \"issuers\": [\"tls-public\", \"vpn\"]}'"
token="-H 'Authorization: Bearer $(secret)'"

title "Use it: who am I?"
call "curl -s $url/me $token"

title "May it use the VPN's issuer, from here, now? Allowed, through web-platform"
call "curl -s $url/decisions $token $json -d '{\"issuer\": \"vpn\"}'"

title "And Alice the one for signing documents? Denied, and why"
call "curl -s $url/decisions $session $json -d '{\"issuer\": \"document-signing\"}'"

title "A new colleague: one commit. The API mails a password, here into a folder, since there is no mail server"
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

title "Heidi logs in with it, once: it must be changed, and only its hash was kept"
call "curl -s $url/sessions $json -d '{\"username\": \"heidi\", \"password\": \"$(grep -m 1 -oE '([a-z2-9]{5}-){5}[a-z2-9]{5}' "$mail")\"}'"

title "The pipeline got a certificate, and registers it: Alice is told now, and again before it expires"
pem=$(<"$top/examples/certificate.pem")
printf '{"pem": "%s", "issuer": "tls-public", "team": "web-platform"}\n' "${pem//$'\n'/\\n}" >certificate.json
call "curl -s $url/certificates $token $json -d \"\$(cat certificate.json)\""
delivered
run grep -hE '^(To|Subject): ' "$(grep -l '^To: .*alice@' mail/new/*)"

printf '\nMails are in .demo/mail, a maildir, for any mail program: mutt -f .demo/mail\n'
printf 'Everything is in .demo/: the repository in config, the database in accord.db. Try: accord --help, accord-api --help\n'
if [ -t 0 ] && [ -t 1 ]; then
  trap : INT
  printf 'The API is described at %s/docs and runs until Ctrl-C.\n' "${url%/api/v1}"
  wait "$server" || true
fi
