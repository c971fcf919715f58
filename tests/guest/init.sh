#!/bin/sh
# The first process of a guest: finds the host's files, read-only, and runs a
# program of theirs. Its exit status goes to /run/out/status, which is a folder of
# the host's. Where a step fails this process ends, and so does the guest.
set -e
/bin/busybox mkdir -p /proc /host
/bin/busybox mount -t proc proc /proc
while read -r module; do
  /bin/busybox insmod "/modules/$module.ko"
done </modules/order
options=trans=virtio,version=9p2000.L,msize=512000
/bin/busybox mount -t 9p -o "ro,cache=loose,$options" host /host
/bin/busybox mount -t proc proc /host/proc
/bin/busybox mount -t sysfs sysfs /host/sys
/bin/busybox mount -t devtmpfs devtmpfs /host/dev
/bin/busybox mount -t tmpfs tmpfs /host/run
/bin/busybox mkdir /host/run/out
/bin/busybox mount -t 9p -o "$options" out /host/run/out
/bin/busybox ip link set lo up
status=0
/bin/busybox chroot /host /bin/sh /run/out/command || status=$?
echo "$status" >/host/run/out/status
/bin/busybox sync
/bin/busybox reboot -f
