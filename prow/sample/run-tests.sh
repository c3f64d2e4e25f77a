#!/bin/sh
# Stands for a test suite: prints as one does, and fails when told to.
set -eu

green='\033[32m' red='\033[31m' reset='\033[0m'

echo "Testing $(git log -1 --format=%h) of pull request ${PULL_NUMBER:-none}"
for test in parse render round-trip; do
	printf "  ${green}ok${reset}    %s\n" "$test"
done

status=passed
if [ "${1:-}" = broken ]; then
	printf "  ${red}FAIL${reset}  divide: expected 2, found 3\n"
	status=failed
fi

cat > "$ARTIFACTS/junit_unit.xml" <<EOF
<testsuite name="unit" tests="4" failures="$([ $status = passed ] && echo 0 || echo 1)">
  <testcase name="parse"/>
  <testcase name="render"/>
  <testcase name="round-trip"/>
  <testcase name="divide">$([ $status = passed ] || echo '<failure>expected 2, found 3</failure>')</testcase>
</testsuite>
EOF

[ $status = passed ]
