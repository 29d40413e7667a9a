#!/bin/sh
# A job: does one thing and ends. Status 0 completes it, any other has it tried again.
set -eu
echo "report by ${MESH_REPLICA:-nobody} on ${MESH_NODE:-this machine} at $(date -u +%Y-%m-%dT%H:%M:%SZ)"
echo "  kernel    $(uname -sr)"
echo "  cpus      $(getconf _NPROCESSORS_ONLN)"
echo "  load      $(cut -d' ' -f1-3 /proc/loadavg)"
echo "  disk free $(df -Pk . | awk 'NR == 2 { printf "%d MiB", $4 / 1024 }')"
