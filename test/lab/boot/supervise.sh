# Sourced by init programs. supervise NAME COMMAND... runs a program in the background, starts it again when it ends and
# notes every end.
supervise() {
	local name=$1
	shift
	while :; do
		"$@" >>"/var/log/lab/$NAME-$name.log" 2>&1
		echo "$(date +%T) $name ended with $?" >>"/var/log/lab/$NAME-boot.log"
		sleep 0.5
	done &
}
