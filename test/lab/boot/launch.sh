#!/bin/sh
# launch.sh PROCS_FILE... -- COMMAND...: joins control groups, then becomes the command.
while [ "$1" != -- ]; do
	echo $$ >"$1"
	shift
done
shift
exec "$@"
