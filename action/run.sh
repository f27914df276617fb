#!/bin/bash
# The action's work: runs INPUT_RUN by `powervisor run` in the folder that this is called in, which the machine may write to. What the
# script writes to the files that GITHUB_OUTPUT, GITHUB_ENV, GITHUB_PATH and GITHUB_STEP_SUMMARY name there comes to those of the job.
set -u
own=$PWD/.powervisor-job
mkdir "$own" || exit 125
trap 'rm -rf "$own"' EXIT
printf '%s\n' "$INPUT_RUN" > "$own/script"

options=(--rw --folder "$PWD")
[ -z "${INPUT_ARCH:-}" ] || options+=(--arch "$INPUT_ARCH")
[ -z "${INPUT_IMAGE:-}" ] || options+=(--image "$INPUT_IMAGE")
[ -z "${INPUT_NETWORK:-}" ] || options+=(--net "$INPUT_NETWORK")
[ -z "${INPUT_MEMORY:-}" ] || options+=(--memory "$INPUT_MEMORY")
[ -z "${INPUT_TIMEOUT:-}" ] || options+=(--timeout "$INPUT_TIMEOUT")
while IFS= read -r line; do
	[ -z "$line" ] || options+=(--env "$line")
done <<< "${INPUT_ENV:-}"
for name in GITHUB_OUTPUT GITHUB_ENV GITHUB_PATH GITHUB_STEP_SUMMARY; do
	[ -n "${!name:-}" ] || continue
	: > "$own/$name"
	options+=(--env "$name=$own/$name")
done
# Words, as they are meant to be.
# shellcheck disable=SC2086,SC2206
more=(${INPUT_OPTIONS:-})
# shellcheck disable=SC2086
${POWERVISOR:-npx powervisor} run "${options[@]}" "${more[@]}" -- ${INPUT_SHELL:-sh -e} "$own/script" < /dev/null
status=$?
for name in GITHUB_OUTPUT GITHUB_ENV GITHUB_PATH GITHUB_STEP_SUMMARY; do
	[ -z "${!name:-}" ] || cat "$own/$name" >> "${!name}"
done
exit $status
