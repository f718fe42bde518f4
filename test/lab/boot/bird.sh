# A BIRD router. Its configuration is in its disk.
cp "$DIR/bird.conf" "$root/run/bird.conf"
init="bird -f -c /run/bird.conf -s /run/bird.ctl"
