# A router is the FRR image, run as a container runtime would run it. Its configuration is in its disk.
mkdir -m 755 "$root/run/frr"
cp "$DIR/frr.conf" "$DIR/daemons" "$root/etc/frr/"
: >"$root/etc/frr/vtysh.conf"
chroot "$root" chown -R frr:frr /etc/frr /run/frr
chmod 640 "$root/etc/frr/frr.conf"
init="/sbin/tini -- /usr/lib/frr/docker-start"
