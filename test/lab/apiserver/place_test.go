package apiserver

import (
	"net/netip"
	"testing"
)

func TestGivenProcessIDsWhenTheyChooseALoopbackAddressThenEachIsItsOwnAndLocal(t *testing.T) {
	seen := map[netip.Addr]int{}
	for _, pid := range []int{1, 2, 255, 256, 65535, 65536, 1<<22 - 1} {
		a := ownLoopback(pid)
		if !a.IsLoopback() {
			t.Errorf("process %d would use %s, which is not a loopback address", pid, a)
		}
		if other, dup := seen[a]; dup {
			t.Errorf("processes %d and %d would both use %s", pid, other, a)
		}
		seen[a] = pid
	}
}

func TestGivenADataFolderWhenItsOwnerIsReadThenItIsTheProcessInItsName(t *testing.T) {
	if pid, ok := ownerOf("/dev/shm/metallb-apiserver-4711-2345"); !ok || pid != 4711 {
		t.Errorf("owner %d, %v; want 4711", pid, ok)
	}
	if pid, ok := ownerOf("/dev/shm/metallb-apiserver-x-1"); ok {
		t.Errorf("owner %d of a folder without process id", pid)
	}
}
