#!/bin/sh
# PID 1: starts what stands beside the service, then the service, and stays when they end, so that a companion has
# something to tell. Starts the service anew on USR1, ends at once on TERM.
start() { setsid --fork "$1" </dev/null; }
trap 'exit 0' TERM INT
trap 'start /corpus/start' USR1
for script in /corpus/beside/*; do
    [ ! -x "$script" ] || start "$script"
done
start /corpus/start
sleep infinity &
while kill -0 $!; do wait $!; done
