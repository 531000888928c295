#!/usr/bin/env bash
# A first look at Accord: a config repository, a plan, an apply; then one change, reviewed and applied. Leaves everything in .demo/.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
demo=$top/.demo
export PATH="$top/${VENV:-.venv}/bin:$PATH" ACCORD_CACHE=$demo/cache
rm -rf "$demo" && mkdir -p "$demo" && cp -r "$top/examples/config-repo" "$demo/config" && cd "$demo"
export GIT_AUTHOR_NAME="Alice Jones" GIT_AUTHOR_EMAIL=alice@example.org GIT_COMMITTER_NAME="Alice Jones" GIT_COMMITTER_EMAIL=alice@example.org
export ACCORD_REPOSITORY=config ACCORD_DATABASE_URL=sqlite:///accord.db ACCORD_APPLIED_BY=demo

title() { printf '\n\033[1m── %s\033[0m\n' "$*"; }
run() { printf '\033[36m$ %s\033[0m\n' "$*"; "$@"; }

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

title "One change in one commit: the web platform may use the VPN's issuer until the end of 2030"
sed -i 's/^    - tls-public$/&\n    - {issuer: vpn, until: 2030-12-31}/' config/teams/web/web-platform.yaml
run git -C config diff -U1
git -C config commit -q -a -m "Let the web platform use the VPN until the end of 2030"

title "Who gains and who loses?"
run accord plan
run accord apply --yes

title "Who may use what now, and why may alice?"
run accord access --issuer vpn
run accord explain alice vpn --address 10.20.1.1

title "What was applied, and is the audit log whole?"
run accord history
run accord audit verify
printf '\nEverything is in .demo/: the repository in config, the database in accord.db. Try: accord --help\n'
