#!/bin/bash
# `after:` waits for readiness: the API starts only once the slow database is ready.
# timeout: 60
. "$(dirname "$0")/lib.sh"
PORT=$(free_port)
cat >"$T/muster.yaml" <<Y
services:
  db:
    command: [python3, -c, "import time,http.server; time.sleep(1.5); open('$T/db','w').write(str(time.time())); http.server.HTTPServer(('127.0.0.1', int('\${PORT}')), http.server.SimpleHTTPRequestHandler).serve_forever()"]
    directory: $T
    instances: 1
    health: { readiness: { tcp: true, every: 200ms } }
  api:
    command: [python3, -c, "import time; open('$T/api','w').write(str(time.time())); time.sleep(1000)"]
    directory: $T
    instances: 1
    after: [db]
Y
up
expect "the database came up" [ -s "$T/db" ]
wait_for 3 "the API was started" [ -s "$T/api" ]
expect "after the database was ready" python3 -c "import sys; d, a = (float(open('$T/' + n).read()) for n in ('db', 'api')); sys.exit(not a > d)"
cat "$T/muster.yaml" | sed 's/^    after: .db./    after: [cache]/' >"$T/wrong.yaml"
muster check "$T/wrong.yaml" >"$T/out" 2>&1 && fail "an unknown service in after: was accepted"
expect "an unknown name is an error that names it" grep -q cache "$T/out"
